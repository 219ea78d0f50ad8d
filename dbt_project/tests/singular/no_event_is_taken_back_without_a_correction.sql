-- Failure it prevents: usage that vanishes although nobody corrected it. Mirror: no_corrected_event_counts.
with named as (
    select target_batch_id as batch_id, target_file_order as file_order, target_row_number as row_number
    from {{ ref('int_events_corrected') }} where not is_target_retraction
    union
    -- corrections of a target that has several: all but one may be superseded
    select correction_batch_id, correction_file_order, correction_row_number
    from {{ ref('int_events_corrected') }}
    qualify count(*) over (partition by target_batch_id, target_file_order, target_row_number) > 1
    union
    -- a retraction brings no usage of its own
    select correction_batch_id, correction_file_order, correction_row_number from {{ ref('int_events_corrected') }} where correction = 'retract'
)

select entries.landed_batch_id, entries.file_order, entries.row_number
from {{ ref('int_events_attributed') }} as entries
anti join named on entries.landed_batch_id = named.batch_id and entries.file_order = named.file_order and entries.row_number = named.row_number
where entries.outcome <> 'duplicate'
group by all
having sum(entries.entry * entries.event_weight) <> 1

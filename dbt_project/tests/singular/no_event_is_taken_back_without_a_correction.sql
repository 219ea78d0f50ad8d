-- Failure it prevents: usage that vanishes although nobody corrected it. Mirror: no_corrected_event_counts.
with corrected as (
    select * from {{ ref('int_events_corrected') }}
),

may_not_count as (
    select target_batch_id as batch_id, target_file_order as file_order, target_row_number as row_number
    from corrected
    where not is_target_retraction
    union
    -- a retraction brings no usage of its own; of several corrections of one target all but one may be superseded
    select correction_batch_id, correction_file_order, correction_row_number
    from corrected
    qualify correction = 'retract' or count(*) over (partition by target_batch_id, target_file_order, target_row_number) > 1
)

select entries.landed_batch_id, entries.file_order, entries.row_number
from {{ ref('int_events_decided') }} as entries
anti join may_not_count
    on entries.landed_batch_id = may_not_count.batch_id and entries.file_order = may_not_count.file_order
    and entries.row_number = may_not_count.row_number
where entries.event_weight = 0 and entries.outcome <> 'duplicate'
group by all
having sum(entries.entry) <> 0

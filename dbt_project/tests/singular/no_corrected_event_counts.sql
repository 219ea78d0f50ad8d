-- Failure it prevents: usage that a correction took back and that is still counted. Mirror: no_event_is_taken_back_without_a_correction.
-- Entries are no CTE: as one that is read twice they would be written down, all of them.
with corrected as (
    select * from {{ ref('int_events_corrected') }} where not is_target_retraction
),

-- a retraction in whatever state, a replacement once it is not held
in_effect as (
    select corrected.target_batch_id, corrected.target_file_order, corrected.target_row_number
    from corrected
    inner join {{ ref('int_events_decided') }} as entries
        on corrected.correction_batch_id = entries.landed_batch_id and corrected.correction_file_order = entries.file_order
        and corrected.correction_row_number = entries.row_number
    group by
        corrected.correction_batch_id, corrected.correction_file_order, corrected.correction_row_number, corrected.correction,
        corrected.target_batch_id, corrected.target_file_order, corrected.target_row_number
    having corrected.correction = 'retract' or sum(entry) filter (outcome <> 'held') = 1
)

select entries.landed_batch_id, entries.file_order, entries.row_number, sum(entry) as times_counted
from {{ ref('int_events_decided') }} as entries
semi join in_effect
    on entries.landed_batch_id = in_effect.target_batch_id and entries.file_order = in_effect.target_file_order
    and entries.row_number = in_effect.target_row_number
where entries.event_weight <> 0
group by all
having sum(entry) <> 0

-- Failure it prevents: usage that a correction took back and that is still counted. Mirror: no_event_is_taken_back_without_a_correction.
with decisions as (
    select landed_batch_id, file_order, row_number, sum(entry) filter (outcome <> 'held') as not_held, sum(entry * event_weight) as counts
    from {{ ref('int_events_attributed') }}
    group by all
)

select targets.*
from {{ ref('int_events_corrected') }} as corrected
inner join decisions as corrections
    on corrected.correction_batch_id = corrections.landed_batch_id and corrected.correction_file_order = corrections.file_order
    and corrected.correction_row_number = corrections.row_number
inner join decisions as targets
    on corrected.target_batch_id = targets.landed_batch_id and corrected.target_file_order = targets.file_order
    and corrected.target_row_number = targets.row_number
where not corrected.is_target_retraction and (corrected.correction = 'retract' or corrections.not_held = 1) and targets.counts <> 0

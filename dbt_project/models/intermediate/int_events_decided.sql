-- The ledger of decisions: whose usage an event is, of what, how much, and on which billing date, as of the batch that decided it. A new event
-- is entered once. When a later batch changes the reference data that its decision rests on, and the decision with it, the old one is reversed
-- (entry −1) and the new one entered (+1), in that batch. Nothing is ever updated, so the state as of any batch is a filter. A correction takes
-- usage back in the same way: the record keeps its outcome and loses its quantity and its event_weight. Coded: int_events_attributed reads it in full.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set last_batch = watermark() %}

with again as (
    select * from {{ ref('int_events_decided_again') }}
),

-- members of families of corrections are decided together, in int_events_decided_again
points as (
    select events.*, batch_id as decided_batch_id, batch_id as as_of_batch, 1 as entry
    from {{ ref('stg_lake__usage_events') }} as events
    anti join {{ ref('int_events_reconsidered') }} as reconsidered using (batch_id, file_order, row_number)
    where batch_id > {{ last_batch }}
),

{{ decisions() }},

entered as (
    select * exclude (correction, target_batch_id, target_file_order, target_row_number, is_in_effect, as_of_batch) from decided
    union all by name
    select * from again
)

select
    batch_id, landed_batch_id, file_order, row_number, entry, outcome, outcome_reason, kind_id, holder_id, event_ts, ingested_ts, billing_date,
    quantity, quantity_variance, event_weight, distinct_value
from entered

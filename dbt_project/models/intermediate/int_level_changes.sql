-- The ledger's entries of metrics whose events set or change a level (time_weighted, weighted_sum): few, and read from the first on, because a level
-- carries over months without events. Append-only.
{{ config(materialized='incremental', incremental_strategy='append') }}

with entries as (
    select * from {{ ref('int_entries_counted') }}
    where {{ aggregates_by('aggregation', 'level') }} and batch_id > {{ watermark() }}
)

select * from entries

-- The ledger of usage that resolves to nobody, coded: what each batch adds to the queue of a day (UTC), or takes from it where the usage has found its
-- account. Append-only, so that a night does not look for the queue in all events.
{{ config(materialized='incremental', incremental_strategy='append') }}

with entries as (
    select * from {{ ref('int_events_decided') }}
    where outcome = 'unattributed' and event_weight <> 0 and batch_id > {{ watermark() }}
),

posted as (
    select
        batch_id,
        event_ts::date as first_seen_date,
        kind_id,
        holder_id,
        sum(entry * quantity)::decimal(38, 9) as quantity,
        sum(entry)::bigint as event_count
    from entries
    group by all
)

select * from posted

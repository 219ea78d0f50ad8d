-- The ledger of usage: what each batch adds to (or takes from) an hour of an account. Append-only; every figure is a sum of these rows.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set last_batch = watermark() %}

with entries as (
    select * from {{ ref('int_events_attributed') }}
    where outcome = 'attributed' and event_weight <> 0 and batch_id > {{ last_batch }}
),

posted as (
    select
        batch_id,
        usage_hour,
        billing_date,
        account_id,
        metric,
        sku,
        region,
        unit,
        sum(entry * quantity)::decimal(38, 9) as quantity,
        sum(entry)::bigint as event_count,
        sum(entry * quantity_variance)::decimal(38, 9) as quantity_variance
    from entries
    group by all
)

select * from posted

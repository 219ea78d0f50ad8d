-- The ledger of usage: what each batch adds to (or takes from) an hour of an account. Append-only; every figure of a metric that sums or counts is a
-- sum of these rows, and every event count of any metric is.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set last_batch = watermark() %}

with entries as (
    select * from {{ ref('int_entries_counted') }} where batch_id > {{ last_batch }}
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
        aggregation,
        sum(entry * quantity)::decimal(38, 9) as quantity,
        sum(entry)::bigint as event_count,
        sum(entry * quantity_variance)::decimal(38, 9) as quantity_variance
    from entries
    group by all
)

select * from posted

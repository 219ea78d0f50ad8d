-- Usage per minute, for peaks and percentiles: what does not add up from parts is computed from the decided events.
{{ config(materialized='view') }}

with entries as (
    select * from {{ ref('int_events_attributed') }} where outcome = 'attributed' and event_weight <> 0
),

receipts as (
    select * from {{ ref('stg_finalized__receipts') }}
),

minutes as (
    select
        strftime(entries.billing_date, '%Y-%m') as billing_period,
        entries.billing_date,
        entries.account_id,
        entries.metric,
        entries.sku,
        entries.region,
        entries.unit,
        date_trunc('minute', entries.event_ts) as usage_minute,
        sum(entries.entry * entries.quantity)::decimal(38, 9) as quantity,
        sum(entries.entry)::bigint as event_count
    from entries
    left join receipts on strftime(entries.billing_date, '%Y-%m') = receipts.billing_period
    where receipts.cutoff_batch_id is null or entries.batch_id <= receipts.cutoff_batch_id
    group by all
    having sum(entries.entry) <> 0
)

select * from minutes

-- Usage per minute, for peaks and percentiles of what sums: what does not add up from parts is computed from the decided events.
{{ config(materialized='view') }}

with entries as (
    select * from {{ ref('int_entries_shown') }} where {{ aggregates_by('aggregation', 'summing') }}
),

minutes as (
    select
        billing_period,
        billing_date,
        account_id,
        metric,
        sku,
        region,
        unit,
        date_trunc('minute', event_ts) as usage_minute,
        sum(entry * quantity)::decimal(38, 9) as quantity,
        sum(entry)::bigint as event_count
    from entries
    group by all
    having sum(entry) <> 0
)

select * from minutes

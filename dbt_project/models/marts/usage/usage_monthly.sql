{{ config(materialized='view') }}

with usage as (
    select * from {{ in_warehouse(ref('int_usage_by_period')) }}
),

periods as (
    select * from {{ in_warehouse(ref('int_periods_dated')) }}
),

monthly as (
    select
        usage.billing_period,
        usage.account_id,
        usage.metric,
        usage.sku,
        usage.region,
        usage.unit,
        usage.quantity,
        usage.event_count,
        usage.quantity_variance,
        usage.peak_per_minute,
        usage.p95_per_minute,
        periods.status as period_status,
        usage.p50_per_minute,
        usage.p99_per_minute,
        usage.aggregation
    from usage
    inner join periods on usage.billing_period = periods.billing_period
)

select * from monthly

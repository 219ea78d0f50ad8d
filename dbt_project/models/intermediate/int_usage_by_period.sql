-- usage.usage_monthly without the state of its period, so that only periods with new postings are computed again.
{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook="{{ forget_touched('billing_period') }}"
) }}

with postings as (
    select * from {{ ref('int_postings_by_period') }}
    where not is_after_close
    {%- if is_incremental() %} and billing_period in ({{ touched('billing_period') }}){% endif %}
),

minutes as (
    select * from {{ ref('int_usage_by_minute') }}
    {% if is_incremental() %}where billing_period in ({{ touched('billing_period') }}){% endif %}
),

summed as (
    select
        billing_period,
        account_id,
        metric,
        sku,
        region,
        unit,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count,
        sum(quantity_variance)::decimal(38, 9) as quantity_variance,
        max(batch_id) as last_batch_id
    from postings
    group by all
    having sum(event_count) <> 0
),

peaks as (
    select
        billing_period,
        account_id,
        metric,
        sku,
        region,
        unit,
        max(quantity)::decimal(38, 9) as peak_per_minute,
        -- nearest rank over the minutes in which there was usage
        quantile_disc(quantity, 0.95)::decimal(38, 9) as p95_per_minute
    from minutes
    group by all
),

monthly as (
    select
        summed.*,
        peaks.peak_per_minute,
        peaks.p95_per_minute
    from summed
    inner join peaks using (billing_period, account_id, metric, sku, region, unit)
)

select * from monthly

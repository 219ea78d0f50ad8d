{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ forget_touched('billing_date') }}"
) }}

with postings as (
    select * from {{ ref('int_postings_by_period') }}
    where not is_after_close
    {%- if is_incremental() %} and billing_date in ({{ touched('billing_date') }}){% endif %}
),

minutes as (
    select * from {{ ref('int_usage_by_minute') }}
    {% if is_incremental() %}where billing_date in ({{ touched('billing_date') }}){% endif %}
),

summed as (
    select
        billing_date,
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
        billing_date,
        account_id,
        metric,
        sku,
        region,
        unit,
        max(quantity)::decimal(38, 9) as peak_per_minute
    from minutes
    group by all
),

daily as (
    select
        summed.billing_date,
        summed.account_id,
        summed.metric,
        summed.sku,
        summed.region,
        summed.unit,
        summed.quantity,
        summed.event_count,
        summed.quantity_variance,
        peaks.peak_per_minute,
        summed.last_batch_id
    from summed
    inner join peaks using (billing_date, account_id, metric, sku, region, unit)
)

select * from daily

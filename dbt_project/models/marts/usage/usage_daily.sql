{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook=["{{ forget_touched('billing_date') }}", "{{ forget_levels(\"strftime(billing_date, '%Y-%m')\") }}"]
) }}

with postings as (
    select * from {{ ref('int_postings_by_period') }}
    where not is_after_close and not {{ aggregates_by('aggregation', 'level') }}
    {%- if is_incremental() %} and billing_date in ({{ touched('billing_date') }}){% endif %}
),

minutes as (
    select * from {{ ref('int_usage_by_minute') }}
    {% if is_incremental() %}where billing_date in ({{ touched('billing_date') }}){% endif %}
),

levels as (
    select * from {{ ref('int_levels_by_hour') }} where {{ levels_to_show() }}
),

{{ standing_touched('billing_date') }},

figures as (
    {{ figures('standing', ['billing_date'], microseconds_between('billing_date', 'billing_date + interval 1 day', 'calendar_zone') ~ ' // 300000000') | indent(4) }}
),

summed as (
    select
        billing_date,
        account_id,
        metric,
        sku,
        region,
        unit,
        aggregation,
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

counted as (
    select
        summed.* replace (
            if({{ aggregates_by('summed.aggregation', 'adding') }}, summed.quantity, figures.quantity)::decimal(38, 9) as quantity,
            if({{ aggregates_by('summed.aggregation', 'summing') }}, summed.quantity_variance, 0)::decimal(38, 9) as quantity_variance
        ),
        peaks.peak_per_minute
    from summed
    left join figures using (billing_date, account_id, metric, sku, region, unit, aggregation)
    left join peaks using (billing_date, account_id, metric, sku, region, unit)
),

integrated as (
    select
        billing_date,
        account_id,
        metric,
        sku,
        region,
        unit,
        aggregation,
        {{ divide_split('sum(whole_microseconds)', 'sum(ninth_microseconds)', 'divisor') }} as quantity,
        sum(event_count)::bigint as event_count,
        0::decimal(38, 9) as quantity_variance,
        max(last_batch_id) as last_batch_id
    from levels
    group by billing_date, account_id, metric, sku, region, unit, aggregation, divisor
),

daily as (
    select * from counted
    union all by name
    select * from integrated
)

select
    billing_date,
    account_id,
    metric,
    sku,
    region,
    unit,
    quantity,
    event_count,
    quantity_variance,
    peak_per_minute,
    last_batch_id,
    aggregation
from daily

-- usage.usage_monthly without the state of its period, so that only periods with new postings (and levels of those that are not closed) are computed
-- again. dated_on: the local date on which a figure that stands for the whole period is priced (see figures); null where days have shares of it.
{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook=["{{ forget_touched('billing_period') }}", "{{ forget_levels('billing_period') }}"]
) }}
{%- set month_after = "(strptime(billing_period || '-01', '%Y-%m-%d') + interval 1 month)" %}

with postings as (
    select * from {{ ref('int_postings_by_period') }}
    where not is_after_close and not {{ aggregates_by('aggregation', 'level') }}
    {%- if is_incremental() %} and billing_period in ({{ touched('billing_period') }}){% endif %}
),

minutes as (
    select * from {{ ref('int_usage_by_minute') }}
    {% if is_incremental() %}where billing_period in ({{ touched('billing_period') }}){% endif %}
),

levels as (
    select * from {{ ref('int_levels_by_hour') }} where {{ levels_to_show() }}
),

{{ standing_touched('billing_period') }},

figures as (
    {{ figures('standing', ['billing_period'], microseconds_between("billing_period || '-01'", month_after, 'calendar_zone') ~ ' // 300000000') | indent(4) }}
),

summed as (
    select
        billing_period,
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
        billing_period,
        account_id,
        metric,
        sku,
        region,
        unit,
        max(quantity)::decimal(38, 9) as peak_per_minute,
        -- nearest rank over the minutes in which there was usage
        quantile_disc(quantity, 0.50)::decimal(38, 9) as p50_per_minute,
        quantile_disc(quantity, 0.95)::decimal(38, 9) as p95_per_minute,
        quantile_disc(quantity, 0.99)::decimal(38, 9) as p99_per_minute
    from minutes
    group by all
),

counted as (
    select
        summed.* replace (
            if({{ aggregates_by('summed.aggregation', 'adding') }}, summed.quantity, figures.quantity)::decimal(38, 9) as quantity,
            if({{ aggregates_by('summed.aggregation', 'summing') }}, summed.quantity_variance, 0)::decimal(38, 9) as quantity_variance
        ),
        figures.dated_on,
        peaks.peak_per_minute,
        peaks.p50_per_minute,
        peaks.p95_per_minute,
        peaks.p99_per_minute
    from summed
    left join figures using (billing_period, account_id, metric, sku, region, unit, aggregation)
    left join peaks using (billing_period, account_id, metric, sku, region, unit)
),

integrated as (
    select
        billing_period,
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
    group by billing_period, account_id, metric, sku, region, unit, aggregation, divisor
),

monthly as (
    select * from counted
    union all by name
    select * from integrated
)

select * from monthly

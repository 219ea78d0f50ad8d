{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook=["{{ forget_touched('billing_date') }}", "{{ forget_levels(\"strftime(billing_date, '%Y-%m')\") }}"]
) }}

with postings as (
    select * from {{ ref('int_postings_by_period') }}
    where not is_after_close and not {{ aggregates_by('aggregation', 'level') }}
    {%- if is_incremental() %} and billing_date in ({{ touched('billing_date') }}){% endif %}
),

levels as (
    select * from {{ ref('int_levels_by_hour') }} where {{ levels_to_show() }}
),

{{ standing_touched('billing_date') }},

figures as (
    {{ figures('standing', ['usage_hour', 'billing_date'], '12') | indent(4) }}
),

summed as (
    select
        usage_hour,
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
    -- postings that cancel out leave no usage
    having sum(event_count) <> 0
),

counted as (
    select
        summed.* replace (
            if({{ aggregates_by('summed.aggregation', 'adding') }}, summed.quantity, figures.quantity)::decimal(38, 9) as quantity,
            if({{ aggregates_by('summed.aggregation', 'summing') }}, summed.quantity_variance, 0)::decimal(38, 9) as quantity_variance
        )
    from summed
    left join figures using (usage_hour, billing_date, account_id, metric, sku, region, unit, aggregation)
),

integrated as (
    select
        usage_hour,
        billing_date,
        account_id,
        metric,
        sku,
        region,
        unit,
        aggregation,
        {{ divide_split('whole_microseconds', 'ninth_microseconds', 'divisor') }} as quantity,
        event_count,
        0::decimal(38, 9) as quantity_variance,
        last_batch_id
    from levels
),

hourly as (
    select * from counted
    union all
    select * from integrated
)

select
    usage_hour,
    billing_date,
    account_id,
    metric,
    sku,
    region,
    unit,
    quantity,
    event_count,
    quantity_variance,
    last_batch_id,
    aggregation
from hourly

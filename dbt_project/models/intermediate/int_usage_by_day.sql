-- Usage per billing date, coded: sums of postings, and the peak minute of what sums. The days of the marts, and what periods are summed from, so that
-- a night does not read all hours of a month again. Figures that do not add up, and levels, stand in usage.usage_daily.
{{ config(materialized='incremental', incremental_strategy='append', pre_hook="{{ forget_touched('billing_date') }}") }}

with postings as (
    select * from {{ ref('int_postings_by_period') }}
    where not is_after_close and not {{ aggregates_by('aggregation', 'level') }}
    {%- if is_incremental() %} and billing_date in ({{ touched('billing_date') }}){% endif %}
),

minutes as (
    select * from {{ ref('int_usage_by_minute') }}
    {% if is_incremental() %}where billing_date in ({{ touched('billing_date') }}){% endif %}
),

summed as (
    select
        billing_date,
        account_number,
        item_id,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count,
        sum(quantity_variance)::decimal(38, 9) as quantity_variance,
        max(batch_id) as last_batch_id
    from postings
    group by all
    -- postings that cancel out leave no usage
    having sum(event_count) <> 0
),

peaks as (
    select billing_date, account_number, item_id, max(quantity)::decimal(38, 9) as peak_per_minute
    from minutes
    group by all
),

daily as (
    select summed.*, peaks.peak_per_minute
    from summed
    left join peaks using (billing_date, account_number, item_id)
)

select * from daily

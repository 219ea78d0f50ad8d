-- Usage per billing date, coded: sums of postings, and the peak minute of what sums. The days of the marts, and what periods are summed from, so that
-- a night does not read all hours of a month again. Figures that do not add up, and levels, stand in usage.usage_daily.
{{ config(materialized='incremental', incremental_strategy='append', pre_hook="{{ forget_touched('billing_date') }}") }}

with {{ postings_summed(['billing_date']) }},

minutes as (
    select * from {{ ref('int_usage_by_minute') }}
    {% if is_incremental() %}where billing_date in ({{ touched('billing_date') }}){% endif %}
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

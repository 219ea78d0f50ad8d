-- depends_on: {{ ref('int_postings_by_period') }}
-- usage.usage_daily, coded, and what periods are summed from, so that a night does not read all hours of a month again.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook=["{{ forget_touched('billing_date') }}", "{{ forget_levels(\"strftime(billing_date, '%Y-%m')\", coded=true) }}"]
) }}

with {{ postings_summed(['billing_date']) }},

minutes as (
    select * from {{ ref('int_usage_by_minute') }}
    where {{ is_touched() }}
),

peaks as (
    select billing_date, account_number, item_id, max(quantity)::decimal(38, 9) as peak_per_minute
    from minutes
    group by all
),

{{ rolled_up(
    ['billing_date'], 'billing_date', microseconds_between('billing_date', 'billing_date + interval 1 day', 'calendar_zone') ~ ' // 300000000'
) }}

select billing_date, account_number, item_id, quantity, event_count, quantity_variance, peak_per_minute, last_batch_id
from rolled_up
left join peaks using (billing_date, account_number, item_id)

-- Percentiles (nearest rank) over the minutes of a month in which there was usage, coded. A night touches few of the accounts' items of a month that is
-- nearly over, and sorts the minutes of those only.
{{ config(materialized='incremental', incremental_strategy='append', pre_hook="{{ forget_touched_items() }}") }}
{%- set postings = ref('int_postings_by_period') %}
{%- set minutes = ref('int_usage_by_minute') %}
{%- set touched_minutes = is_touched('billing_period') %}
{%- set is_built = execute and load_relation(minutes) is not none %}
{#- values of 64 bits are sorted in half the time of those of 128 #}
{%- set is_short = is_built and run_query('select coalesce(max(abs(quantity)), 0) < 1000000000 from ' ~ minutes ~ ' where ' ~ touched_minutes).columns[0].values()[0] %}

with minutes as (
    select date_trunc('month', billing_date)::date as first_date, *
    from {{ minutes }}
    where {{ touched_minutes }}
),

{% if is_incremental() -%}
touched_items as (
    {{ touched_items(postings) }}
),

{% endif -%}
ranked as (
    select
        first_date,
        account_number,
        item_id,
        quantile_disc(quantity{{ '::decimal(18, 9)' if is_short }}, [0.50, 0.95, 0.99]) as per_minute
    from minutes
    {% if is_incremental() %}semi join touched_items using (first_date, account_number, item_id){% endif %}
    group by all
)

select
    first_date,
    account_number,
    item_id,
    per_minute[1]::decimal(38, 9) as p50_per_minute,
    per_minute[2]::decimal(38, 9) as p95_per_minute,
    per_minute[3]::decimal(38, 9) as p99_per_minute,
    (select max(batch_id) from {{ ref('int_usage_posted') }}) as last_batch_id
from ranked

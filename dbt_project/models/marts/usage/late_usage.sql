-- depends_on: {{ ref('int_usage_postings') }}, {{ ref('stg_finalized__receipts') }}
{{ config(post_hook=[
    "{{ create_usage_as_of('usage.usage_daily_as_of', 'postings.billing_date', 'billing_date') }}",
    "{{ create_usage_as_of('usage.usage_monthly_as_of', \"strftime(postings.billing_date, '%Y-%m')\", 'billing_period') }}",
]) }}

with postings as (
    select * from {{ ref('int_postings_by_period') }} where is_after_close
),

level_changes as (
    select * from {{ ref('int_level_changes') }}
),

receipts as (
    select * from {{ ref('stg_finalized__receipts') }}
),

figures_shown as (
    select * from {{ ref('int_usage_by_period') }}
    where not {{ aggregates_by('aggregation', 'adding') }} and billing_period in (select billing_period from receipts)
),

figures_known as (
    select * from {{ ref('int_figures_to_rate') }} where scenario = 'known'
),

levels_known as (
    select * from {{ ref('int_levels_by_hour') }} where knowledge = 'known'
),

late_keys as (
    select * from {{ ref('int_keys_late') }}
),

-- what landed, by the batches that brought it
landed as (
    select
        billing_period, account_id, metric, sku, region,
        {{ figure_unit('unit', 'aggregation') }} as unit,
        if({{ aggregates_by('aggregation', 'adding') }}, quantity, 0)::decimal(38, 9) as quantity,
        event_count,
        batch_id
    from postings
    union all
    -- a change of a level in an earlier period carries into this one
    select
        receipts.billing_period, level_changes.account_id, level_changes.metric, level_changes.sku, level_changes.region,
        {{ figure_unit('level_changes.unit', 'level_changes.aggregation') }},
        0,
        0,
        level_changes.batch_id
    from level_changes
    inner join receipts on level_changes.batch_id > receipts.cutoff_batch_id and level_changes.billing_period <= receipts.billing_period
),

-- what does not add up is late by the difference of its figures
differing as (
    select billing_period, account_id, metric, sku, region, unit, quantity from figures_known
    union all
    select
        billing_period, account_id, metric, sku, region, unit,
        {{ divide_split('sum(whole_microseconds)', 'sum(ninth_microseconds)', 'divisor') }}
    from levels_known
    group by billing_period, account_id, metric, sku, region, unit, divisor
    union all
    select billing_period, account_id, metric, sku, region, unit, -quantity
    from figures_shown
    semi join late_keys using (billing_period, account_id, sku)
),

known as (
    select * from landed
    union all
    select billing_period, account_id, metric, sku, region, unit, quantity, 0, null from differing
),

late as (
    select
        billing_period,
        account_id,
        metric,
        sku,
        region,
        unit,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count,
        min(batch_id) as first_batch_id,
        max(batch_id) as last_batch_id
    from known
    group by all
    -- a reversal and its new entry may leave nothing
    having sum(event_count) <> 0 or sum(quantity) <> 0
)

select * from late

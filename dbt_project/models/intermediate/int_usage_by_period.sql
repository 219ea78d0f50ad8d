-- depends_on: {{ ref('int_postings_by_period') }}
-- usage.usage_monthly without the state of its period, so that only periods with new postings (and levels of those that are not closed) are computed
-- again. dated_on: the local date on which a figure that stands for the whole period is priced (see figures); null where days have shares of it.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook=["{{ forget_touched('billing_period') }}", "{{ forget_levels('billing_period') }}"]
) }}
{%- set month_after = "(strptime(billing_period || '-01', '%Y-%m-%d') + interval 1 month)" %}

with days as (
    select *, strftime(date_trunc('month', billing_date), '%Y-%m') as billing_period
    from {{ ref('int_usage_by_date') }}
    where
        item_id not in (select item_id from {{ ref('int_kinds_decided') }} where {{ aggregates_by('aggregation', 'level') }})
        and {{ is_touched('billing_period') }}
),

percentiles as (
    select * from {{ ref('int_percentiles_by_period') }}
),

months as (
    select
        billing_period,
        account_number,
        item_id,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count,
        sum(quantity_variance)::decimal(38, 9) as quantity_variance,
        max(last_batch_id) as last_batch_id,
        max(peak_per_minute)::decimal(38, 9) as peak_per_minute
    from days
    group by all
),

summed as (
    select
        months.*,
        percentiles.p50_per_minute,
        percentiles.p95_per_minute,
        percentiles.p99_per_minute
    from months
    left join percentiles
        on (months.billing_period || '-01')::date = percentiles.first_date and months.account_number = percentiles.account_number
        and months.item_id = percentiles.item_id
),

{% for kind in ['adding', 'recomputed'] -%}
summed_{{ kind }} as (
    select * from summed where item_id in (select item_id from {{ ref('int_kinds_decided') }} where {{ aggregates_by('aggregation', kind) }})
),

{% endfor -%}
{{ rolled_up(
    ['billing_period'], 'billing_period', microseconds_between("billing_period || '-01'", month_after, 'calendar_zone') ~ ' // 300000000'
) }}

select
    rolled_up.* exclude (account_number, item_id),
    {{ described_columns(figure_unit('items.billed_unit', 'items.aggregation')) }}
from rolled_up
{{ join_described('rolled_up') }}

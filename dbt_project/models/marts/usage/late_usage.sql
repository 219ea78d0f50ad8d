-- depends_on: {{ ref('int_usage_postings') }}, {{ ref('stg_reference__metrics') }}, {{ ref('stg_finalized__receipts') }}
{{ config(post_hook=[
    "{{ create_usage_as_of('usage.usage_daily_as_of', 'postings.billing_date', 'billing_date') }}",
    "{{ create_usage_as_of('usage.usage_monthly_as_of', \"strftime(postings.billing_date, '%Y-%m')\", 'billing_period') }}",
]) }}

with postings as (
    select * from {{ ref('int_postings_by_period') }} where is_after_close
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
    from postings
    group by all
)

select * from late

-- Postings with their billing period, and whether they came after its close: such usage is late, it is billed by adjustment.
{{ config(materialized='view') }}

with postings as (
    select * from {{ ref('int_usage_postings') }}
),

receipts as (
    select *, (billing_period || '-01')::date as first_date from {{ ref('stg_finalized__receipts') }}
),

dated as (
    select
        postings.*,
        strftime(postings.billing_date, '%Y-%m') as billing_period,
        coalesce(postings.batch_id > receipts.cutoff_batch_id, false) as is_after_close
    from postings
    left join receipts on date_trunc('month', postings.billing_date)::date = receipts.first_date
)

select * from dated

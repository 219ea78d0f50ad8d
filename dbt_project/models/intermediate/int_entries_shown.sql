-- The entries whose figures the marts show: what was decided after its period's close is late, it is billed by adjustment.
{{ config(materialized='view') }}

with entries as (
    select * from {{ ref('int_entries_counted') }}
),

receipts as (
    select *, (billing_period || '-01')::date as first_date from {{ ref('stg_finalized__receipts') }}
),

shown as (
    select entries.*
    from entries
    left join receipts on date_trunc('month', entries.billing_date)::date = receipts.first_date
    where receipts.cutoff_batch_id is null or entries.batch_id <= receipts.cutoff_batch_id
)

select * from shown

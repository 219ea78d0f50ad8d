-- Postings with their billing period.
{{ config(materialized='view') }}

with postings as (
    select * from {{ ref('int_usage_postings') }}
),

dated as (
    select
        *,
        strftime(billing_date, '%Y-%m') as billing_period
    from postings
)

select * from dated

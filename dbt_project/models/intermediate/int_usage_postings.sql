-- The ledger of usage: what each batch adds to (or takes from) an hour of an account. Every figure of a metric that sums or counts is a sum of these
-- rows, and every event count of any metric is.
{{ config(materialized='view') }}

with posted as (
    select * from {{ ref('int_usage_posted') }}
),

postings as (
    select
        posted.batch_id,
        posted.usage_hour,
        posted.billing_date,
        {{ described_columns() }},
        posted.quantity,
        posted.event_count,
        posted.quantity_variance,
        posted.account_number,
        posted.item_id,
        posted.is_after_close
    from posted
    {{ join_described('posted') }}
)

select * from postings

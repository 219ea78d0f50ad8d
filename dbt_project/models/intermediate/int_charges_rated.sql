-- What is charged for usage, subscriptions and discounts in one shape, per scenario (see int_usage_to_rate): what minimums, credits, adjustments and the
-- tie-out to the ledger rest on.
{{ config(materialized='view') }}

with usage_lines as (
    select
        *,
        'usage' as charge_type,
        price_id as reference_id
    from {{ ref('int_lines_rated') }}
),

subscription_lines as (
    select
        * exclude (subscription_id),
        'billed' as scenario,
        'subscription' as charge_type,
        subscription_id as reference_id,
        '*' as region
    from {{ ref('int_subscriptions_rated') }}
),

discount_lines as (
    select
        * exclude (discount_id),
        'discount' as charge_type,
        discount_id as reference_id,
        0::decimal(38, 9) as quantity
    from {{ ref('int_discounts_rated') }}
),

charges as (
    select * from usage_lines
    union all by name
    select * from subscription_lines
    union all by name
    select * from discount_lines
)

select * from charges

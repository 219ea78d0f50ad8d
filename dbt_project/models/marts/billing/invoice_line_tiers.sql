-- Tiers of closed periods stand here as they were frozen: what a close freezes is what stands here then, and nothing takes it out again.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail', pre_hook="{{ forget_what_is_not_frozen() }}"
) }}

with closed_lines as (
    select * from {{ ref('stg_finalized__invoice_lines') }}
),

lines as (
    select * from {{ ref('int_lines_provisional') }}
),

rated as (
    select * from {{ ref('int_line_tiers_rated') }}
),

adjusted as (
    select * from {{ ref('int_lines_adjusted') }}
),

usage_tiers as (
    select line_id, billing_period, tier_number, charged_quantity as tier_quantity, unit_price, flat_fee, rate_percent, tier_amount
    from rated
    where scenario = 'billed'
),

rebilled_tiers as (
    select
        adjusted.line_id,
        adjusted.billing_period, tier_number, charged_quantity as tier_quantity, unit_price, flat_fee, rate_percent, tier_amount
    from adjusted
    inner join rated on rated.scenario = 'known' and adjusted.origin_line_id = rated.line_id
    where adjusted.side = 'rebilling'
),

-- a reversal takes back the tiers of everything billed so far for its line. Most nights there is none, and no frozen file is read: closed tiers are no
-- CTE, which would be written down in full.
reversed_tiers as (
    select
        adjusted.line_id,
        adjusted.billing_period,
        closed_tiers.tier_number,
        -sum(closed_tiers.tier_quantity) as tier_quantity,
        max(closed_tiers.unit_price) as unit_price,
        -sum(closed_tiers.flat_fee) as flat_fee,
        max(closed_tiers.rate_percent) as rate_percent,
        -sum(closed_tiers.tier_amount) as tier_amount
    from adjusted
    inner join closed_lines on adjusted.origin_line_id = closed_lines.origin_line_id
    inner join {{ ref('stg_finalized__invoice_line_tiers') }} as closed_tiers on closed_lines.line_id = closed_tiers.line_id
    where adjusted.side = 'reversal'
    group by all
),

-- what is not rated by tiers (subscriptions, discounts, minimums, credits) is one sum
sums as (
    select
        line_id,
        billing_period,
        1 as tier_number,
        0 as tier_quantity,
        0 as unit_price,
        precise_amount as flat_fee,
        0 as rate_percent,
        precise_amount as tier_amount
    from lines
    where charge_type <> 'usage' and not (line_type = 'adjustment' and line_id in (select line_id from reversed_tiers))
),

tiers as (
    select * from {{ ref('stg_finalized__invoice_line_tiers') }} where {{ is_frozen_since() }}
    union all by name
    select * from usage_tiers
    union all by name
    select * from rebilled_tiers
    union all by name
    select * from reversed_tiers
    union all by name
    select * from sums
),

final as (
    select
        line_id,
        billing_period,
        tier_number::integer as tier_number,
        tier_quantity::decimal(38, 9) as tier_quantity,
        unit_price::decimal(38, 12) as unit_price,
        flat_fee::decimal(38, 12) as flat_fee,
        rate_percent::decimal(38, 12) as rate_percent,
        tier_amount::decimal(38, 12) as tier_amount
    from tiers
)

select * from final

with closed_tiers as (
    select * from {{ ref('stg_finalized__invoice_line_tiers') }}
),

closed_lines as (
    select * from {{ ref('stg_finalized__invoice_lines') }}
),

rated as (
    select * from {{ ref('int_line_tiers_rated') }}
),

adjusted as (
    select * from {{ ref('int_lines_adjusted') }}
),

usage_tiers as (
    select
        {{ line_id(["billing_period", "account_id", "'usage'", "sku", "region", "unit", "price_id"]) }} as line_id,
        billing_period, tier_number, charged_quantity as tier_quantity, unit_price, flat_fee, rate_percent, tier_amount
    from rated
    where scenario = 'billed'
),

rebilled_tiers as (
    select
        {{ line_id(["adjusted.billing_period", "adjusted.origin_period", "adjusted.account_id", "'adjustment'", "adjusted.side", "adjusted.sku", "adjusted.region", "adjusted.unit", "adjusted.price_id"]) }} as line_id,
        adjusted.billing_period, tier_number, charged_quantity as tier_quantity, unit_price, flat_fee, rate_percent, tier_amount
    from adjusted
    inner join rated
        on rated.scenario = 'known' and adjusted.origin_period = rated.billing_period and adjusted.account_id = rated.account_id
        and adjusted.sku = rated.sku and adjusted.region = rated.region and adjusted.unit is not distinct from rated.unit and adjusted.price_id = rated.price_id
    where adjusted.side = 'rebilling'
),

-- a reversal takes back the tiers of everything billed so far for its key
reversed_tiers as (
    select
        {{ line_id(["adjusted.billing_period", "adjusted.origin_period", "adjusted.account_id", "'adjustment'", "adjusted.side", "adjusted.sku", "adjusted.region", "adjusted.unit", "adjusted.price_id"]) }} as line_id,
        adjusted.billing_period,
        closed_tiers.tier_number,
        -sum(closed_tiers.tier_quantity) as tier_quantity,
        max(closed_tiers.unit_price) as unit_price,
        -sum(closed_tiers.flat_fee) as flat_fee,
        max(closed_tiers.rate_percent) as rate_percent,
        -sum(closed_tiers.tier_amount) as tier_amount
    from adjusted
    inner join closed_lines
        on adjusted.origin_period = closed_lines.origin_period and adjusted.account_id = closed_lines.account_id
        and adjusted.sku = closed_lines.sku and adjusted.region = closed_lines.region and adjusted.unit is not distinct from closed_lines.unit
        and adjusted.price_id = closed_lines.price_id and closed_lines.line_type in ('usage', 'adjustment')
    inner join closed_tiers on closed_lines.line_id = closed_tiers.line_id
    where adjusted.side = 'reversal'
    group by all
),

tiers as (
    select * from closed_tiers
    union all by name
    select * from usage_tiers
    union all by name
    select * from rebilled_tiers
    union all by name
    select * from reversed_tiers
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

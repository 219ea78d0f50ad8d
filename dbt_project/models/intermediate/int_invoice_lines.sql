-- All invoice lines: of closed periods as they were frozen, of the others as they are rated now, and the adjustments of closed ones.
with closed_lines as (
    select * from {{ ref('stg_finalized__invoice_lines') }}
),

rated as (
    select * from {{ ref('int_lines_rated') }} where scenario = 'billed'
),

adjusted as (
    select * from {{ ref('int_lines_adjusted') }}
),

usage_lines as (
    select
        {{ line_id(["billing_period", "account_id", "'usage'", "sku", "region", "unit", "price_id"]) }} as line_id,
        billing_period,
        billing_period as origin_period,
        account_id,
        'usage' as line_type,
        metric, sku, region, plan_id, price_id, pricing_model, first_date, last_date, quantity, unit, currency_code, precise_amount, amount,
        'provisional' as status,
        1 as version
    from rated
),

adjustment_lines as (
    select
        {{ line_id(["billing_period", "origin_period", "account_id", "'adjustment'", "side", "sku", "region", "unit", "price_id"]) }} as line_id,
        billing_period,
        origin_period,
        account_id,
        'adjustment' as line_type,
        metric, sku, region, plan_id, price_id, pricing_model, first_date, last_date, quantity, unit, currency_code, precise_amount, amount,
        'provisional' as status,
        1 as version
    from adjusted
),

lines as (
    select * from closed_lines
    union all by name
    select * from usage_lines
    union all by name
    select * from adjustment_lines
)

select * from lines

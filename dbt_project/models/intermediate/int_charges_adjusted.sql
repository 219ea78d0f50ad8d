-- Charges of closed periods that late usage changes: usage that landed after the close, rated with all that is known of its account and SKU, beside
-- what was billed for it so far, adjustments included; discounts with their lines. Per line of the closed period.
with closed_lines as (
    select * from {{ ref('stg_finalized__invoice_lines') }}
),

rated as (
    select * from {{ ref('int_charges_rated') }} where scenario = 'known'
),

late_keys as (
    select distinct billing_period as origin_period, account_id, sku from {{ ref('late_usage') }}
),

billed as (
    select
        origin_line_id,
        origin_period, account_id, charge_type, reference_id, sku, region, unit, price_id, slice_from, currency_code,
        min(metric) as metric,
        max(plan_id) as plan_id,
        any_value(pricing_model) as pricing_model,
        min(first_date) as first_date,
        max(last_date) as last_date,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(precise_amount)::decimal(38, 12) as precise_amount,
        sum(amount)::decimal(38, 6) as amount
    from closed_lines
    semi join late_keys using (origin_period, account_id, sku)
    where charge_type = 'usage' or (charge_type = 'discount' and price_id is not null)
    group by origin_line_id, origin_period, account_id, charge_type, reference_id, sku, region, unit, price_id, slice_from, currency_code
),

compared as (
    select
        coalesce(rated.line_id, billed.origin_line_id) as origin_line_id,
        coalesce(rated.billing_period, billed.origin_period) as origin_period,
        {%- for column in ['account_id', 'charge_type', 'reference_id', 'metric', 'sku', 'region', 'price_id', 'slice_from', 'currency_code', 'unit', 'plan_id', 'pricing_model', 'first_date', 'last_date'] %}
        coalesce(rated.{{ column }}, billed.{{ column }}) as {{ column }},
        {%- endfor %}
        billed.quantity as billed_quantity,
        billed.precise_amount as billed_precise_amount,
        billed.amount as billed_amount,
        rated.quantity as known_quantity,
        rated.precise_amount as known_precise_amount,
        rated.amount as known_amount
    from rated
    full outer join billed on rated.line_id = billed.origin_line_id
),

differing as (
    select * from compared
    where
        coalesce(billed_quantity, 0) <> coalesce(known_quantity, 0)
        or coalesce(billed_precise_amount, 0) <> coalesce(known_precise_amount, 0)
        or coalesce(billed_amount, 0) <> coalesce(known_amount, 0)
)

select * from differing

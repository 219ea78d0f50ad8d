-- Rated lines of usage, per scenario: the precise amount is the sum of its tiers, the amount is rounded once, at the currency's minor unit.
with tiers as (
    select * from {{ ref('int_line_tiers_rated') }}
),

currencies as (
    select * from {{ ref('currencies') }}
),

summed as (
    select
        scenario,
        line_id,
        billing_period,
        account_id,
        metric,
        sku,
        region,
        unit,
        plan_id,
        price_id,
        pricing_model,
        slice_from,
        currency_code,
        first_date,
        last_date,
        quantity,
        sum(tier_amount)::decimal(38, 12) as precise_amount
    from tiers
    group by all
),

rated as (
    select
        summed.*,
        {{ round_to_minor_unit('summed.precise_amount', 'currencies.minor_unit') }} as amount
    from summed
    inner join currencies on summed.currency_code = currencies.currency_code
)

select * from rated

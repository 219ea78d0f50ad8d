-- Prices with bounds that need no null checks, their place in the sequence of prices for the same thing, and only those that have tiers to rate by.
-- largest_quantity: what a day can be rated of by this price inside the 38 digits, 10²⁰ currency units' worth. More is nobody's usage; it is unpriced, so
-- that one broken event stops the close of its period and not the nightly run of everybody.
with prices as (
    select * from {{ ref('stg_reference__prices') }}
),

tiers as (
    select
        price_id,
        max(greatest(abs(coalesce(unit_price, 0)), abs(coalesce(rate_percent, 0)), 0.000000000001))::decimal(38, 12) as largest_price
    from {{ ref('stg_reference__price_tiers') }}
    group by price_id
),

bounded as (
    select
        price_id,
        plan_id,
        sku,
        region,
        currency_code,
        model,
        coalesce(free_units, 0)::decimal(38, 9) as free_units,
        coalesce(package_size, 1)::decimal(38, 9) as package_size,
        coalesce(valid_from, '-infinity'::date) as valid_from,
        coalesce(valid_to, 'infinity'::date) as valid_to,
        100000000000000000000000000000000::hugeint // {{ to_twelfths('largest_price') }} as largest_quantity,
        lag(price_id) over sequence as previous_price_id,
        lead(price_id) over sequence as next_price_id
    from prices
    inner join tiers using (price_id)
    window sequence as (partition by plan_id, sku, region, currency_code order by coalesce(valid_from, '-infinity'::date))
)

select * from bounded

-- Prices with bounds that need no null checks, their place in the sequence of prices for the same thing, and only those that have tiers to rate by.
with prices as (
    select * from {{ ref('stg_reference__prices') }}
),

tiers as (
    select distinct price_id from {{ ref('stg_reference__price_tiers') }}
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
        lag(price_id) over sequence as previous_price_id,
        lead(price_id) over sequence as next_price_id
    from prices
    semi join tiers using (price_id)
    window sequence as (partition by plan_id, sku, region, currency_code order by coalesce(valid_from, '-infinity'::date))
)

select * from bounded

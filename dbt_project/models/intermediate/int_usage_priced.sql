-- The usage of days that are rated alike, with the price that it is rated by: chosen by the plan held then, the SKU, the region (exact before *) and the
-- billing date; a price in the account's own currency goes before one in another. No price: unpriced, which blocks a close and is never billed at zero.
-- slice_from: where the plan, the price or a discount changes inside the period, the period is rated in slices; the first day of the slice.
with usage as (
    select * from {{ ref('int_usage_to_rate') }}
),

accounts as (
    select account_id, currency_code from {{ ref('stg_reference__accounts') }}
),

skus as (
    select sku, billable from {{ ref('stg_reference__skus') }}
),

plans as (
    select
        account_id,
        plan_id,
        coalesce(valid_from, '-infinity'::date) as valid_from,
        coalesce(valid_to, 'infinity'::date) as valid_to
    from {{ ref('stg_reference__account_plans') }}
),

prices as (
    select * from {{ ref('int_prices_in_force') }}
),

discounts as (
    select * from {{ ref('stg_reference__discounts') }}
),

billable as (
    select usage.*
    from usage
    left join skus on usage.sku = skus.sku
    where coalesce(skus.billable, true)
),

ledger as (
    select distinct billing_period, account_id, sku from {{ ref('stg_reference__finance_ledger') }}
),

-- the days on which a discount of an account begins or ends
discount_bounds as (
    select account_id, sku, valid_from as bound from discounts where valid_from is not null
    union
    select account_id, sku, valid_to from discounts where valid_to is not null
),

discount_slices as (
    select billable.account_id, billable.sku, billable.billing_date, max(discount_bounds.bound) as discount_from
    from (select distinct account_id, sku, billing_date from billable) as billable
    inner join discount_bounds
        on billable.account_id = discount_bounds.account_id and discount_bounds.sku in (billable.sku, '*')
        and discount_bounds.bound <= billable.billing_date
    group by all
),

-- the days on which a price of a plan begins or ends, also one for all regions around one for a single region
price_bounds as (
    select plan_id, sku, region, valid_from as bound from prices where isfinite(valid_from)
    union
    select plan_id, sku, region, valid_to from prices where isfinite(valid_to)
),

price_slices as (
    select days.plan_id, days.sku, days.region, days.billing_date, max(price_bounds.bound) as price_from
    from (
        select distinct plans.plan_id, billable.sku, billable.region, billable.billing_date
        from billable
        inner join plans on billable.account_id = plans.account_id
    ) as days
    inner join price_bounds
        on days.plan_id = price_bounds.plan_id and days.sku = price_bounds.sku and price_bounds.region in (days.region, '*')
        and price_bounds.bound <= days.billing_date
    group by all
),

held as (
    select billable.*, plans.plan_id, plans.valid_from as plan_from, accounts.currency_code as account_currency
    from billable
    left join accounts on billable.account_id = accounts.account_id
    left join plans
        on billable.account_id = plans.account_id
        and billable.billing_date >= plans.valid_from and billable.billing_date < plans.valid_to
),

-- Prices are chosen for what may be bought, not for each day's usage again: the prices of a plan for a SKU and region, the best first.
offers as (
    select
        wanted.*,
        prices.* exclude (plan_id, sku, region),
        row_number() over (
            partition by wanted.plan_id, wanted.account_currency, wanted.sku, wanted.region
            order by
                prices.currency_code = wanted.account_currency desc nulls last,
                prices.region = wanted.region desc nulls last,
                prices.currency_code,
                prices.price_id
        ) as preference
    from (select distinct plan_id, account_currency, sku, region from held) as wanted
    inner join prices on wanted.plan_id = prices.plan_id and wanted.sku = prices.sku and prices.region in (wanted.region, '*')
),

offer_bounds as (
    select plan_id, account_currency, sku, region, valid_from as bound from offers
    union
    select plan_id, account_currency, sku, region, valid_to from offers
),

offer_spans as (
    select
        *,
        lead(bound, 1, 'infinity'::date) over (partition by plan_id, account_currency, sku, region order by bound) as next_bound
    from offer_bounds
),

best_offers as (
    select offer_spans.*, offers.price_id, offers.previous_price_id, offers.next_price_id, offers.largest_quantity
    from offer_spans
    inner join offers
        on offer_spans.plan_id = offers.plan_id and offer_spans.account_currency is not distinct from offers.account_currency
        and offer_spans.sku = offers.sku and offer_spans.region = offers.region
        and offer_spans.bound >= offers.valid_from and offer_spans.bound < offers.valid_to
    qualify row_number() over (
        partition by offer_spans.plan_id, offer_spans.account_currency, offer_spans.sku, offer_spans.region, offer_spans.bound
        order by offers.preference
    ) = 1
),

offered as (
    select
        held.*,
        best_offers.price_id,
        best_offers.previous_price_id,
        best_offers.next_price_id,
        best_offers.price_id is null or held.largest_day_quantity < {{ next_whole('best_offers.largest_quantity') }} as is_priceable
    from held
    left join best_offers
        on held.plan_id = best_offers.plan_id and held.account_currency is not distinct from best_offers.account_currency
        and held.sku = best_offers.sku and held.region = best_offers.region
        and held.billing_date >= best_offers.bound and held.billing_date < best_offers.next_bound
),

-- a quantity that is too large to be rated exactly by the best price may be by another
offered_another as (
    select
        offered.* exclude (price_id, previous_price_id, next_price_id, is_priceable),
        offers.price_id,
        offers.previous_price_id,
        offers.next_price_id
    from offered
    left join offers
        on offered.plan_id = offers.plan_id and offered.account_currency is not distinct from offers.account_currency
        and offered.sku = offers.sku and offered.region = offers.region
        and offered.billing_date >= offers.valid_from and offered.billing_date < offers.valid_to
        and offered.largest_day_quantity < {{ next_whole('offers.largest_quantity') }}
    where not offered.is_priceable
    qualify row_number() over (
        partition by scenario, billing_period, offered.account_id, metric, offered.sku, offered.region, unit, offered.billing_date
        order by offers.preference
    ) = 1
),

priceable as (
    select * exclude (is_priceable) from offered where is_priceable
    union all by name
    select * from offered_another
),

chosen as (
    select
        priceable.* exclude (plan_from, account_currency),
        greatest(priceable.plan_from, price_slices.price_from, discount_slices.discount_from) as latest_change,
        if(latest_change > (billing_period || '-01')::date, latest_change, null) as slice_from
    from priceable
    left join discount_slices
        on priceable.account_id = discount_slices.account_id and priceable.sku = discount_slices.sku and priceable.billing_date = discount_slices.billing_date
    left join price_slices
        on priceable.plan_id = price_slices.plan_id and priceable.sku = price_slices.sku and priceable.region = price_slices.region
        and priceable.billing_date = price_slices.billing_date
),

-- what a line would be if finance had rated it by the price before, or after, the one in force
other_prices as (
    select 'previous_price' as scenario, * exclude (scenario) replace (coalesce(previous_price_id, price_id) as price_id)
    from chosen
    where scenario = 'billed' and (billing_period, account_id, sku) in (
        select (billing_period, account_id, sku) from chosen semi join ledger using (billing_period, account_id, sku)
        where scenario = 'billed' and previous_price_id is not null
    )
    union all
    select 'next_price' as scenario, * exclude (scenario) replace (coalesce(next_price_id, price_id) as price_id)
    from chosen
    where scenario = 'billed' and (billing_period, account_id, sku) in (
        select (billing_period, account_id, sku) from chosen semi join ledger using (billing_period, account_id, sku)
        where scenario = 'billed' and next_price_id is not null
    )
),

priced as (
    select * from chosen
    union all
    select * from other_prices
)

select * exclude (latest_change, previous_price_id, next_price_id) from priced

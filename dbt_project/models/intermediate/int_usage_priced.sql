-- Each day's usage with the price that it is rated by: chosen by the plan held that day, the SKU, the region (exact before *) and the billing
-- date; a price in the account's own currency goes before one in another. No price: unpriced, which blocks a close and is never billed at zero.
-- slice_from: where the plan, the price or a discount changes inside the period, the period is rated in slices; the first day of the day's slice.
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

chosen as (
    select
        billable.*,
        plans.plan_id,
        prices.price_id,
        greatest(plans.valid_from, price_slices.price_from, discount_slices.discount_from) as latest_change,
        if(latest_change > (billing_period || '-01')::date, latest_change, null) as slice_from,
        prices.previous_price_id,
        prices.next_price_id
    from billable
    left join accounts on billable.account_id = accounts.account_id
    left join plans
        on billable.account_id = plans.account_id
        and billable.billing_date >= plans.valid_from and billable.billing_date < plans.valid_to
    left join prices
        on plans.plan_id = prices.plan_id and billable.sku = prices.sku and prices.region in (billable.region, '*')
        and billable.billing_date >= prices.valid_from and billable.billing_date < prices.valid_to
        and abs(trunc(billable.quantity)::hugeint) <= prices.largest_quantity
    left join discount_slices
        on billable.account_id = discount_slices.account_id and billable.sku = discount_slices.sku and billable.billing_date = discount_slices.billing_date
    left join price_slices
        on plans.plan_id = price_slices.plan_id and billable.sku = price_slices.sku and billable.region = price_slices.region
        and billable.billing_date = price_slices.billing_date
    qualify row_number() over (
        partition by scenario, billing_period, billable.account_id, metric, billable.sku, billable.region, unit, billable.billing_date
        order by
            prices.currency_code = accounts.currency_code desc nulls last,
            prices.region = billable.region desc nulls last,
            prices.currency_code,
            prices.price_id
    ) = 1
),

-- what a line would be if finance had rated it by the price before, or after, the one in force
other_prices as (
    select 'previous_price' as scenario, * exclude (scenario) replace (coalesce(previous_price_id, price_id) as price_id)
    from chosen
    where scenario = 'billed' and (billing_period, account_id, sku) in (
        select (billing_period, account_id, sku) from chosen where scenario = 'billed' and previous_price_id is not null
    )
    union all
    select 'next_price' as scenario, * exclude (scenario) replace (coalesce(next_price_id, price_id) as price_id)
    from chosen
    where scenario = 'billed' and (billing_period, account_id, sku) in (
        select (billing_period, account_id, sku) from chosen where scenario = 'billed' and next_price_id is not null
    )
),

priced as (
    select * from chosen
    union all
    select * from other_prices
)

select * exclude (latest_change, previous_price_id, next_price_id) from priced

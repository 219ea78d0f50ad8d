-- Each day's usage with the price that it is rated by: chosen by the plan held that day, the SKU, the region (exact before *) and the billing
-- date; a price in the account's own currency goes before one in another. No price: unpriced, which blocks a close and is never billed at zero.
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

billable as (
    select usage.*
    from usage
    left join skus on usage.sku = skus.sku
    where coalesce(skus.billable, true)
),

chosen as (
    select
        billable.*,
        plans.plan_id,
        prices.price_id,
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
    qualify row_number() over (
        partition by scenario, billing_period, billable.account_id, metric, billable.sku, billable.region, unit, billing_date
        order by
            prices.currency_code = accounts.currency_code desc nulls last,
            prices.region = billable.region desc nulls last,
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

select * exclude (previous_price_id, next_price_id) from priced

-- The lines to be rated: a price's usage of an account, SKU, region and unit in a slice of a period, with what came before it in the period, because
-- free units and tiers run on from slice to slice of the same price. A plan that charges without usage (a flat price, a fee on the first tier) has a
-- line of quantity zero for every period in which the account holds it.
with priced as (
    select * from {{ ref('int_usage_priced') }} where price_id is not null
),

prices as (
    select * from {{ ref('int_prices_in_force') }}
),

first_tiers as (
    select price_id, coalesce(flat_fee, 0) as flat_fee from {{ ref('stg_reference__price_tiers') }} where tier_number = 1
),

plans as (
    select * from {{ ref('stg_reference__account_plans') }}
),

accounts as (
    select account_id, currency_code from {{ ref('stg_reference__accounts') }}
),

skus as (
    select * from {{ ref('stg_reference__skus') }}
),

metrics as (
    select metric, {{ figure_unit('unit', 'aggregation') }} as unit from {{ ref('stg_reference__metrics') }}
),

late_keys as (
    select * from {{ ref('int_keys_late') }}
),

-- of a closed period only the accounts' SKUs with late usage are rated again
periods as (
    select
        if(status = 'final', 'known', 'billed') as scenario,
        billing_period,
        first_date,
        next_first_date
    from {{ ref('int_periods_dated') }}
    where is_billed
),

used as (
    select
        priced.scenario,
        priced.billing_period,
        priced.account_id,
        -- a SKU is measured by one metric; events that name another one under it count as its usage
        min(priced.metric) as metric,
        priced.sku,
        -- a flat price is charged once a period, wherever the usage was and whatever its unit
        if(prices.model = 'flat', prices.region, priced.region) as region,
        if(prices.model = 'flat', null, priced.unit) as measured_in,
        min(priced.unit) as unit,
        max(priced.plan_id) as plan_id,
        priced.price_id,
        if(prices.model = 'flat', null, priced.slice_from) as slice_from,
        min(priced.billing_date) as first_date,
        max(priced.last_billing_date) as last_date,
        sum(priced.quantity)::decimal(38, 9) as quantity
    from priced
    inner join prices on priced.price_id = prices.price_id
    group by all
),

held_plans as (
    select
        periods.scenario,
        periods.billing_period,
        plans.account_id,
        skus.metric,
        prices.sku,
        prices.region,
        metrics.unit,
        plans.plan_id,
        prices.price_id,
        greatest(periods.first_date, coalesce(plans.valid_from, '-infinity'::date), prices.valid_from) as first_date,
        (least(periods.next_first_date, coalesce(plans.valid_to, 'infinity'::date), prices.valid_to) - interval 1 day)::date as last_date,
        0::decimal(38, 9) as quantity
    from plans
    inner join accounts on plans.account_id = accounts.account_id
    inner join prices on plans.plan_id = prices.plan_id
    inner join first_tiers on prices.price_id = first_tiers.price_id and first_tiers.flat_fee <> 0
    inner join periods
        on greatest(periods.first_date, coalesce(plans.valid_from, '-infinity'::date), prices.valid_from)
        < least(periods.next_first_date, coalesce(plans.valid_to, 'infinity'::date), prices.valid_to)
    -- as with usage, a price in the account's own currency goes before one in another
    left join prices as own_prices
        on prices.plan_id = own_prices.plan_id and prices.sku = own_prices.sku and prices.region = own_prices.region
        and own_prices.currency_code = accounts.currency_code and prices.currency_code <> accounts.currency_code
        and own_prices.valid_from < prices.valid_to and own_prices.valid_to > prices.valid_from
    left join skus on prices.sku = skus.sku
    left join metrics on skus.metric = metrics.metric
    where
        own_prices.price_id is null and coalesce(skus.billable, true) and prices.model in ('flat', 'graduated', 'graduated_percentage')
        and (periods.scenario = 'billed' or (periods.billing_period, plans.account_id, prices.sku) in (select (billing_period, account_id, sku) from late_keys))
    qualify row_number() over (partition by periods.billing_period, plans.account_id, prices.price_id order by plans.valid_from nulls first) = 1
),

unused as (
    select held_plans.*
    from held_plans
    anti join used on held_plans.scenario = used.scenario
        and held_plans.billing_period = used.billing_period and held_plans.account_id = used.account_id and held_plans.price_id = used.price_id
),

measured as (
    select * exclude (measured_in) from used
    union all by name
    select * from unused
)

select
    {{ line_id(["billing_period", "account_id", "'usage'", "measured.sku", "measured.region", "unit", "measured.price_id", "slice_from"]) }} as line_id,
    measured.*,
    (sum(quantity) over slices - quantity)::decimal(38, 9) as quantity_before,
    (sum(quantity) over price_of_period)::decimal(38, 9) as period_quantity,
    row_number() over slices = 1 as is_first_slice,
    prices.model as pricing_model,
    prices.currency_code,
    prices.free_units,
    prices.package_size
from measured
inner join prices on measured.price_id = prices.price_id
window
    price_of_period as (partition by scenario, billing_period, account_id, measured.sku, measured.region, unit, measured.price_id),
    slices as (price_of_period order by slice_from nulls first)

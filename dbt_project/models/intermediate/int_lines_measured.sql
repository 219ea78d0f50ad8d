-- The lines to be rated: a price's usage of an account, SKU, region and unit in a period. A plan that charges without usage (a flat price, a fee on
-- the first tier) has a line of quantity zero for every period in which the account holds it.
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
    select metric, unit from {{ ref('stg_reference__metrics') }}
),

late_keys as (
    select distinct billing_period, account_id, sku from {{ ref('late_usage') }}
),

-- of a closed period only the accounts' SKUs with late usage are rated again
periods as (
    select
        if(status = 'final', 'known', 'billed') as scenario,
        billing_period,
        (billing_period || '-01')::date as first_date,
        ((billing_period || '-01')::date + interval 1 month)::date as next_first_date
    from {{ ref('int_periods_dated') }}
    where has_usage
),

used as (
    select
        priced.scenario,
        priced.billing_period,
        priced.account_id,
        -- a SKU is measured by one metric; events that name another one under it count as its usage
        min(priced.metric) as metric,
        priced.sku,
        -- a flat price is charged once a period, wherever the usage was
        case prices.model when 'flat' then prices.region else priced.region end as region,
        priced.unit,
        max(priced.plan_id) as plan_id,
        priced.price_id,
        min(priced.billing_date) as first_date,
        max(priced.billing_date) as last_date,
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
    inner join prices on plans.plan_id = prices.plan_id and prices.currency_code = accounts.currency_code
    inner join first_tiers on prices.price_id = first_tiers.price_id and first_tiers.flat_fee <> 0
    inner join periods
        on greatest(periods.first_date, coalesce(plans.valid_from, '-infinity'::date), prices.valid_from)
        < least(periods.next_first_date, coalesce(plans.valid_to, 'infinity'::date), prices.valid_to)
    left join skus on prices.sku = skus.sku
    left join metrics on skus.metric = metrics.metric
    where
        coalesce(skus.billable, true) and prices.model in ('flat', 'graduated', 'graduated_percentage')
        and (periods.scenario = 'billed' or (periods.billing_period, plans.account_id, prices.sku) in (select (billing_period, account_id, sku) from late_keys))
    qualify row_number() over (partition by periods.billing_period, plans.account_id, prices.price_id order by plans.valid_from) = 1
),

unused as (
    select held_plans.*
    from held_plans
    anti join used on held_plans.scenario = used.scenario
        and held_plans.billing_period = used.billing_period and held_plans.account_id = used.account_id and held_plans.price_id = used.price_id
),

measured as (
    select * from used
    union all by name
    select * from unused
)

select
    measured.*,
    prices.model as pricing_model,
    prices.currency_code,
    prices.free_units,
    prices.package_size
from measured
inner join prices on measured.price_id = prices.price_id

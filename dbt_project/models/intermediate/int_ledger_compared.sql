-- Billed against booked, per period, account, SKU and currency, in periods that are not closed; beside it what would have been billed under
-- each scenario, and the currency's minor unit.
with lines as (
    select * from {{ ref('int_lines_provisional') }}
),

charges as (
    select * from {{ ref('int_charges_rated') }}
),

ledger as (
    select * from {{ ref('stg_reference__finance_ledger') }}
    where billing_period not in (select billing_period from {{ ref('stg_finalized__receipts') }})
),

currencies as (
    select * from {{ ref('currencies') }}
),

billed as (
    select billing_period, account_id, sku, currency_code, sum(amount)::decimal(38, 6) as billed_amount, count(*) as line_count
    from lines
    group by all
),

booked as (
    select billing_period, account_id, sku, currency_code, sum(amount)::decimal(38, 6) as ledger_amount
    from ledger
    group by all
),

-- subscriptions and adjustments of earlier periods are in the billed amount whatever the scenario
constants as (
    select billing_period, account_id, sku, currency_code, sum(amount)::decimal(38, 6) as constant_amount
    from lines
    where line_type = 'adjustment' or price_id is null
    group by all
),

scenario_amounts as (
    select billing_period, account_id, sku, currency_code, scenario, sum(amount)::decimal(38, 6) as scenario_amount
    from charges
    where scenario not in ('billed', 'known')
    group by all
),

compared as (
    select
        coalesce(billed.billing_period, booked.billing_period) as billing_period,
        coalesce(billed.account_id, booked.account_id) as account_id,
        coalesce(billed.sku, booked.sku) as sku,
        coalesce(billed.currency_code, booked.currency_code) as currency_code,
        billed.billed_amount,
        booked.ledger_amount,
        coalesce(billed.line_count, 0) as line_count
    from billed
    full outer join booked
        on billed.billing_period = booked.billing_period and billed.account_id = booked.account_id
        and billed.sku = booked.sku and billed.currency_code = booked.currency_code
)

select
    compared.*,
    {{ minor_amount('currencies.minor_unit') }} as minor_amount,
    max(if(scenario_amounts.scenario = 'known_to_ledger', scenario_amount + coalesce(constant_amount, 0), null)) as known_to_ledger_amount,
    max(if(scenario_amounts.scenario = 'with_duplicates', scenario_amount + coalesce(constant_amount, 0), null)) as with_duplicates_amount,
    max(if(scenario_amounts.scenario = 'with_unattributed', scenario_amount + coalesce(constant_amount, 0), null)) as with_unattributed_amount,
    max(if(scenario_amounts.scenario = 'previous_price', scenario_amount + coalesce(constant_amount, 0), null)) as previous_price_amount,
    max(if(scenario_amounts.scenario = 'next_price', scenario_amount + coalesce(constant_amount, 0), null)) as next_price_amount
from compared
left join currencies on compared.currency_code = currencies.currency_code
left join constants
    on compared.billing_period = constants.billing_period and compared.account_id = constants.account_id
    and compared.sku = constants.sku and compared.currency_code = constants.currency_code
left join scenario_amounts
    on compared.billing_period = scenario_amounts.billing_period and compared.account_id = scenario_amounts.account_id
    and compared.sku = scenario_amounts.sku and compared.currency_code = scenario_amounts.currency_code
group by all

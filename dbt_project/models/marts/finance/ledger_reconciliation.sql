-- Rows of closed periods stand here as they were frozen: what a close freezes is what stands here then, and nothing takes it out again.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail', pre_hook="{{ forget_what_is_not_frozen() }}"
) }}

with closed as (
    select * from {{ ref('stg_finalized__ledger_reconciliation') }}
),

compared as (
    select
        *,
        (coalesce(billed_amount, 0) - coalesce(ledger_amount, 0))::decimal(38, 6) as difference_amount
    from {{ ref('int_ledger_compared') }}
),

rates as (
    select * from {{ ref('stg_reference__fx_rates') }}
),

entries as (
    select * from {{ ref('stg_reference__finance_ledger') }}
),

-- the other side of a break in another currency: the same account and SKU, missing there and present here, worth the same at a rate of the period
converted as (
    select distinct
        compared.billing_period,
        compared.account_id,
        compared.sku,
        compared.currency_code,
        others.currency_code as other_currency_code
    from compared
    inner join compared as others
        on compared.billing_period = others.billing_period and compared.account_id = others.account_id and compared.sku = others.sku
        and compared.currency_code <> others.currency_code
        and compared.ledger_amount is null and others.billed_amount is null
    inner join rates
        on rates.from_currency = compared.currency_code and rates.to_currency = others.currency_code
        and strftime(rates.rate_date, '%Y-%m') = compared.billing_period
    where abs((compared.billed_amount::decimal(38, 6) * rates.rate::decimal(18, 9))::decimal(38, 6) - others.ledger_amount) <= others.minor_amount
),

in_another_currency as (
    select billing_period, account_id, sku, currency_code from converted
    union
    select billing_period, account_id, sku, other_currency_code from converted
),

-- booked a period too late or too early: the same amount with the other sign in the period before or after
mirrored as (
    select compared.billing_period, compared.account_id, compared.sku, compared.currency_code
    from compared
    inner join (
        select billing_period, account_id, sku, currency_code, difference_amount from compared
        union all
        select billing_period, account_id, sku, currency_code, difference_amount from closed where difference_amount <> 0
    ) as neighbours
        on compared.account_id = neighbours.account_id and compared.sku = neighbours.sku and compared.currency_code = neighbours.currency_code
        and abs(datediff('month', (compared.billing_period || '-01')::date, (neighbours.billing_period || '-01')::date)) = 1
        and compared.difference_amount = -neighbours.difference_amount and compared.difference_amount <> 0
),

-- or, while that period still runs and has no difference of its own to compare: an entry of the amount that is missing here, booked for the next
-- period before that was over
booked_ahead as (
    select compared.billing_period, compared.account_id, compared.sku, compared.currency_code
    from compared
    inner join entries
        on compared.account_id = entries.account_id and compared.sku = entries.sku and compared.currency_code = entries.currency_code
        and compared.difference_amount = entries.amount and compared.difference_amount > 0
        and (compared.billing_period || '-01')::date + interval 1 month = (entries.billing_period || '-01')::date
        and entries.posted_at < (entries.billing_period || '-01')::date + interval 1 month
),

shifted as (
    select * from mirrored
    union
    select * from booked_ahead
),

caused as (
    select
        compared.billing_period,
        compared.account_id,
        compared.sku,
        compared.currency_code,
        coalesce(billed_amount, 0)::decimal(38, 6) as billed_amount,
        coalesce(ledger_amount, 0)::decimal(38, 6) as ledger_amount,
        difference_amount,
        case when difference_amount = 0 then 'matched' else 'break' end as status,
        case
            when difference_amount = 0 then null
            when in_another_currency.sku is not null then 'fx'
            when shifted.sku is not null then 'timing'
            when billed_amount is null and ledger_amount is distinct from with_unattributed_amount
                and ledger_amount is distinct from known_to_ledger_amount then 'missing_in_usage'
            when ledger_amount is null then 'missing_in_ledger'
            when ledger_amount = known_to_ledger_amount then 'late_usage'
            when ledger_amount = with_duplicates_amount then 'duplicate'
            when ledger_amount = with_unattributed_amount then 'unattributed'
            when ledger_amount in (previous_price_amount, next_price_amount) then 'price'
            when abs(difference_amount) <= minor_amount * line_count then 'rounding'
            else 'unexplained'
        end as cause
    from compared
    left join in_another_currency
        on compared.billing_period = in_another_currency.billing_period and compared.account_id = in_another_currency.account_id
        and compared.sku = in_another_currency.sku and compared.currency_code = in_another_currency.currency_code
    left join shifted
        on compared.billing_period = shifted.billing_period and compared.account_id = shifted.account_id
        and compared.sku = shifted.sku and compared.currency_code = shifted.currency_code
),

reconciled as (
    select
        billing_period,
        account_id,
        sku,
        currency_code,
        billed_amount,
        ledger_amount,
        difference_amount,
        -- of what finance booked; nothing booked: of what was billed
        case when difference_amount = 0 then 0 else {{ ratio('difference_amount', 'if(ledger_amount <> 0, abs(ledger_amount), abs(billed_amount))') }} end::decimal(38, 12) as difference_ratio,
        status,
        cause
    from caused
    union all by name
    select * from closed where {{ is_frozen_since() }}
)

select * from reconciled

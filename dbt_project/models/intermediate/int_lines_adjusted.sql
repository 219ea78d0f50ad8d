-- Adjustments: usage of a closed period that landed after its close. Per line key, what was billed for it so far is reversed and what is known
-- now is billed anew, in the earliest period that is not closed, the one after the last closed; their sum is rate(all that is known) − everything billed.
with closed_lines as (
    select * from {{ ref('stg_finalized__invoice_lines') }} where line_type in ('usage', 'adjustment')
),

rated as (
    select * from {{ ref('int_lines_rated') }} where scenario = 'known'
),

receipts as (
    select * from {{ ref('stg_finalized__receipts') }}
),

late_keys as (
    select distinct billing_period as origin_period, account_id, sku from {{ ref('late_usage') }}
),

billed as (
    select
        origin_period, account_id, sku, region, unit, price_id, currency_code,
        min(metric) as metric,
        max(plan_id) as plan_id,
        any_value(pricing_model) as pricing_model,
        min(first_date) as first_date,
        max(last_date) as last_date,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(precise_amount)::decimal(38, 12) as precise_amount,
        sum(amount)::decimal(38, 6) as amount
    from closed_lines
    semi join late_keys using (origin_period, account_id, sku)
    group by origin_period, account_id, sku, region, unit, price_id, currency_code
),

compared as (
    select
        coalesce(rated.billing_period, billed.origin_period) as origin_period,
        coalesce(rated.account_id, billed.account_id) as account_id,
        coalesce(rated.metric, billed.metric) as metric,
        coalesce(rated.sku, billed.sku) as sku,
        coalesce(rated.region, billed.region) as region,
        coalesce(rated.price_id, billed.price_id) as price_id,
        coalesce(rated.currency_code, billed.currency_code) as currency_code,
        coalesce(rated.unit, billed.unit) as unit,
        coalesce(rated.plan_id, billed.plan_id) as plan_id,
        coalesce(rated.pricing_model, billed.pricing_model) as pricing_model,
        coalesce(rated.first_date, billed.first_date) as first_date,
        coalesce(rated.last_date, billed.last_date) as last_date,
        billed.quantity as billed_quantity,
        billed.precise_amount as billed_precise_amount,
        billed.amount as billed_amount,
        rated.quantity as known_quantity,
        rated.precise_amount as known_precise_amount,
        rated.amount as known_amount
    from rated
    full outer join billed
        on rated.billing_period = billed.origin_period and rated.account_id = billed.account_id and rated.sku = billed.sku
        and rated.region = billed.region and rated.unit is not distinct from billed.unit and rated.price_id = billed.price_id
        and rated.currency_code = billed.currency_code
),

differing as (
    select
        compared.*,
        strftime((select (max(billing_period) || '-01')::date + interval 1 month from receipts), '%Y-%m') as billing_period
    from compared
    where
        coalesce(billed_quantity, 0) <> coalesce(known_quantity, 0)
        or coalesce(billed_precise_amount, 0) <> coalesce(known_precise_amount, 0)
        or coalesce(billed_amount, 0) <> coalesce(known_amount, 0)
),

sides as (
    select
        * exclude (billed_quantity, billed_precise_amount, billed_amount, known_quantity, known_precise_amount, known_amount),
        'reversal' as side,
        -billed_quantity as quantity,
        -billed_precise_amount as precise_amount,
        -billed_amount as amount
    from differing
    where billed_quantity is not null
    union all
    select
        * exclude (billed_quantity, billed_precise_amount, billed_amount, known_quantity, known_precise_amount, known_amount),
        'rebilling' as side,
        known_quantity as quantity,
        known_precise_amount as precise_amount,
        known_amount as amount
    from differing
    where known_quantity is not null
)

select * from sides

-- Adjustments: per line of a closed period, what was billed for it so far is reversed and what is known now is billed anew, in the earliest period that
-- is not closed, the one after the last closed; their sum is rate(all that is known) − everything billed. A minimum that was topped up is held against
-- what its account has used by now.
with charges as (
    select * from {{ ref('int_charges_adjusted') }}
),

minimums as (
    select * from {{ ref('int_minimums_rated') }} where scenario = 'known'
),

closed_minimums as (
    select * from {{ ref('stg_finalized__invoice_lines') }} where charge_type = 'minimum'
),

families as (
    select * from {{ ref('int_account_families') }}
),

receipts as (
    select * from {{ ref('stg_finalized__receipts') }}
),

-- late usage of an account can change the minimums of all its family
late_families as (
    select distinct late_usage.billing_period as origin_period, families.invoice_account_id
    from {{ ref('late_usage') }} as late_usage
    inner join families on late_usage.account_id = families.account_id
),

minimums_billed as (
    select
        closed_minimums.origin_line_id,
        closed_minimums.origin_period,
        closed_minimums.account_id,
        closed_minimums.reference_id,
        closed_minimums.currency_code,
        min(closed_minimums.first_date) as first_date,
        max(closed_minimums.last_date) as last_date,
        sum(closed_minimums.precise_amount)::decimal(38, 12) as precise_amount,
        sum(closed_minimums.amount)::decimal(38, 6) as amount
    from closed_minimums
    inner join families on closed_minimums.account_id = families.account_id
    inner join late_families
        on closed_minimums.origin_period = late_families.origin_period and families.invoice_account_id = late_families.invoice_account_id
    group by all
),

minimums_compared as (
    select
        coalesce(minimums.line_id, minimums_billed.origin_line_id) as origin_line_id,
        coalesce(minimums.billing_period, minimums_billed.origin_period) as origin_period,
        coalesce(minimums.account_id, minimums_billed.account_id) as account_id,
        'minimum' as charge_type,
        coalesce(minimums.commitment_id, minimums_billed.reference_id) as reference_id,
        '*' as sku,
        '*' as region,
        coalesce(minimums.currency_code, minimums_billed.currency_code) as currency_code,
        coalesce(minimums.first_date, minimums_billed.first_date) as first_date,
        coalesce(minimums.last_date, minimums_billed.last_date) as last_date,
        if(minimums_billed.amount is not null, 0, null)::decimal(38, 9) as billed_quantity,
        minimums_billed.precise_amount as billed_precise_amount,
        minimums_billed.amount as billed_amount,
        if(minimums.amount is not null, 0, null)::decimal(38, 9) as known_quantity,
        minimums.precise_amount as known_precise_amount,
        minimums.amount as known_amount
    from minimums
    full outer join minimums_billed on minimums.line_id = minimums_billed.origin_line_id
),

differing as (
    select * from charges
    union all by name
    select * from minimums_compared
    where coalesce(billed_precise_amount, 0) <> coalesce(known_precise_amount, 0) or coalesce(billed_amount, 0) <> coalesce(known_amount, 0)
),

dated as (
    select
        differing.*,
        strftime((select (max(billing_period) || '-01')::date + interval 1 month from receipts), '%Y-%m') as billing_period
    from differing
),

sides as (
    select
        * exclude (billed_quantity, billed_precise_amount, billed_amount, known_quantity, known_precise_amount, known_amount),
        'reversal' as side,
        (-billed_quantity)::decimal(38, 9) as quantity,
        (-billed_precise_amount)::decimal(38, 12) as precise_amount,
        (-billed_amount)::decimal(38, 6) as amount
    from dated
    where billed_quantity is not null
    union all
    select
        * exclude (billed_quantity, billed_precise_amount, billed_amount, known_quantity, known_precise_amount, known_amount),
        'rebilling' as side,
        known_quantity as quantity,
        known_precise_amount as precise_amount,
        known_amount as amount
    from dated
    where known_quantity is not null
)

select
    {{ line_id([
        "billing_period", "origin_period", "account_id", "'adjustment'", "side", "sku", "region", "unit", "price_id", "slice_from",
        "if(charge_type <> 'usage', reference_id, null)"
    ]) }} as line_id,
    *
from sides

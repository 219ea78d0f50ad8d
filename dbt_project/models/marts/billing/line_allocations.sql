with closed_allocations as (
    select * from {{ ref('stg_finalized__line_allocations') }}
),

lines as (
    select * from {{ ref('int_lines_provisional') }}
),

families as (
    select * from {{ ref('int_account_families') }}
),

currencies as (
    select * from {{ ref('currencies') }}
),

-- what stands under no SKU of its own
account_lines as (
    select
        lines.line_id,
        lines.billing_period,
        lines.account_id,
        lines.currency_code,
        lines.amount,
        coalesce(families.member_account_ids, [lines.account_id]) as member_account_ids,
        {{ minor_amount('currencies.minor_unit') }} as minor_amount
    from lines
    inner join currencies on lines.currency_code = currencies.currency_code
    left join families on lines.account_id = families.account_id
    where lines.line_type in ('minimum', 'credit')
),

charged as (
    select billing_period, account_id, sku, currency_code, sum(amount)::decimal(38, 6) as weight_amount
    from lines
    where charge_type in ('usage', 'subscription', 'discount')
    group by all
    having sum(amount) > 0
),

weighted as (
    select
        account_lines.* exclude (account_id, member_account_ids),
        coalesce(charged.account_id, account_lines.account_id) as account_id,
        coalesce(charged.sku, '*') as sku,
        coalesce(charged.weight_amount, 0)::decimal(38, 6) as weight_amount
    from account_lines
    left join charged
        on account_lines.billing_period = charged.billing_period and account_lines.currency_code = charged.currency_code
        and list_contains(account_lines.member_account_ids, charged.account_id)
),

-- whole numbers from here on: minor units to be shared, by weights in millionths
counted as (
    select
        *,
        (abs(amount) * 1000000)::hugeint // (minor_amount * 1000000)::hugeint as units,
        -- a line that stands for nothing is its own only part
        if(sku = '*', 1, weight_amount * 1000000)::hugeint as weight
    from weighted
),

shares as (
    select
        *,
        (sum(weight) over (partition by line_id))::hugeint as total_weight
    from counted
),

floored as (
    select
        *,
        units * weight // total_weight as whole_units,
        units * weight % total_weight as remainder
    from shares
),

-- the units that rounding down leaves over go to the largest remainders, one each
allocated as (
    select
        line_id,
        billing_period,
        account_id,
        sku,
        currency_code,
        weight_amount,
        (
            sign(amount) * (
                whole_units
                + if(
                    row_number() over (partition by line_id order by remainder desc, account_id, sku) <= units - sum(whole_units) over (partition by line_id),
                    1, 0
                )
            )::decimal(30, 0) * minor_amount
        )::decimal(38, 6) as allocated_amount
    from floored
),

final as (
    select * from closed_allocations
    union all by name
    select * from allocated
)

select * from final

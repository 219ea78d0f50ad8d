-- Subscriptions of periods that are not closed: the monthly amount, prorated by the days of the month on which it is held. Where a discount of the
-- account begins or ends inside the period, each slice has its own line.
with subscriptions as (
    select
        * exclude (valid_from, valid_to),
        coalesce(valid_from, '-infinity'::date) as valid_from,
        coalesce(valid_to, 'infinity'::date) as valid_to
    from {{ ref('stg_reference__subscriptions') }}
    semi join {{ ref('stg_reference__accounts') }} using (account_id)
),

periods as (
    select * from {{ ref('int_periods_dated') }} where is_billed and status <> 'final'
),

discounts as (
    select * from {{ ref('stg_reference__discounts') }}
),

currencies as (
    select * from {{ ref('currencies') }}
),

held as (
    select
        subscriptions.*,
        periods.billing_period,
        periods.first_date as period_first_date,
        date_diff('day', periods.first_date, periods.next_first_date) as days_of_month,
        greatest(periods.first_date, subscriptions.valid_from) as first_date,
        least(periods.next_first_date, subscriptions.valid_to) as next_date
    from subscriptions
    inner join periods
        on greatest(periods.first_date, subscriptions.valid_from) < least(periods.next_first_date, subscriptions.valid_to)
),

-- the days on which a slice begins: the first one held, and those on which a discount begins or ends; and the day on which the discounts changed
slice_starts as (
    select subscription_id, billing_period, slice_date, max(bound) as slice_from
    from (
        select subscription_id, billing_period, first_date as slice_date, null::date as bound from held
        union all
        select held.subscription_id, held.billing_period, greatest(bounds.bound, held.first_date), bounds.bound
        from held
        inner join (
            select account_id, sku, valid_from as bound from discounts
            union
            select account_id, sku, valid_to from discounts
        ) as bounds
            on held.account_id = bounds.account_id and bounds.sku in (held.sku, '*')
            and bounds.bound > held.period_first_date and bounds.bound < held.next_date
    ) as starts
    group by all
),

sliced as (
    select
        held.* exclude (first_date, next_date, valid_from, valid_to, monthly_amount),
        held.monthly_amount::decimal(38, 12) as monthly_amount,
        slice_from,
        slice_date as first_date,
        coalesce(lead(slice_date) over (partition by subscription_id, billing_period order by slice_date), next_date) as next_date
    from slice_starts
    inner join held using (subscription_id, billing_period)
),

prorated as (
    select
        *,
        date_diff('day', first_date, next_date)::hugeint as days,
        {{ from_ninths(divide_rounded('days * 1000000000', 'days_of_month')) }} as quantity,
        {{ from_twelfths(divide_rounded(to_twelfths('monthly_amount') ~ ' * days', 'days_of_month')) }} as precise_amount
    from sliced
)

select
    {{ line_id(["billing_period", "account_id", "'subscription'", "subscription_id", "slice_from"]) }} as line_id,
    prorated.billing_period,
    prorated.account_id,
    prorated.subscription_id,
    prorated.sku,
    prorated.slice_from,
    prorated.first_date,
    (prorated.next_date - interval 1 day)::date as last_date,
    prorated.quantity,
    'month' as unit,
    prorated.currency_code,
    prorated.precise_amount,
    {{ round_to_minor_unit('prorated.precise_amount', 'currencies.minor_unit') }} as amount
from prorated
inner join currencies on prorated.currency_code = currencies.currency_code

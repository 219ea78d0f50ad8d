-- What each credit pays of the periods that are not closed: period by period, and in a period by priority, expiry and grant time. A credit pays for the
-- lines of its account and of the accounts below it, never more than is due, never more than is left of it. One row per step, also where it pays nothing.
with recursive periods as (
    select * from {{ ref('int_periods_dated') }} where status <> 'final'
),

accounts as (
    select account_id, coalesce(billing_timezone, 'UTC') as billing_timezone from {{ ref('stg_reference__accounts') }}
),

families as (
    select * from {{ ref('int_account_families') }}
),

currencies as (
    select * from {{ ref('currencies') }}
),

closed_burns as (
    select reference_id as credit_id, -sum(amount)::decimal(38, 6) as burned_amount
    from {{ ref('stg_finalized__invoice_lines') }}
    where line_type = 'credit'
    group by all
),

charges as (
    select billing_period, account_id, currency_code, amount from {{ ref('int_charges_rated') }} where scenario = 'billed'
    union all
    select billing_period, account_id, currency_code, amount from {{ ref('int_minimums_rated') }} where scenario = 'billed'
    union all
    select billing_period, account_id, currency_code, amount from {{ ref('int_lines_adjusted') }}
),

due as (
    select
        charges.billing_period,
        charges.account_id,
        families.invoice_account_id,
        charges.currency_code,
        sum(charges.amount)::decimal(38, 6) as amount
    from charges
    inner join families on charges.account_id = families.account_id
    group by all
),

grants as (
    select
        credits.credit_id,
        credits.account_id,
        credits.currency_code,
        credits.priority,
        coalesce(credits.granted_at, '-infinity'::timestamp) as granted_at,
        coalesce(credits.expires_at, 'infinity'::timestamp) as expires_at,
        families.invoice_account_id,
        families.member_account_ids,
        accounts.billing_timezone,
        -- only whole minor units can be paid with
        greatest({{ cut_to_minor_unit('credits.amount', 'currencies.minor_unit') }} - coalesce(closed_burns.burned_amount, 0), 0)::decimal(38, 6) as left_amount
    from {{ ref('stg_reference__credits') }} as credits
    inner join accounts on credits.account_id = accounts.account_id
    inner join families on credits.account_id = families.account_id
    inner join currencies on credits.currency_code = currencies.currency_code
    left join closed_burns on credits.credit_id = closed_burns.credit_id
),

-- the periods that a credit may pay for: it was granted before their end and had not expired at their start, by the clock of its account
steps as (
    select
        periods.billing_period,
        periods.first_date,
        (periods.next_first_date - interval 1 day)::date as last_date,
        grants.*,
        sum(due.amount)::decimal(38, 6) as invoice_due,
        coalesce(sum(due.amount) filter (where list_contains(grants.member_account_ids, due.account_id)), 0)::decimal(38, 6) as members_due
    from periods
    inner join grants
        on grants.granted_at < timezone('UTC', timezone(grants.billing_timezone, periods.next_first_date::timestamp))
        and grants.expires_at > timezone('UTC', timezone(grants.billing_timezone, periods.first_date::timestamp))
    inner join due
        on periods.billing_period = due.billing_period and grants.invoice_account_id = due.invoice_account_id and grants.currency_code = due.currency_code
    group by all
),

ordered as (
    select
        *,
        row_number() over (
            partition by invoice_account_id, currency_code
            order by billing_period, priority, expires_at, granted_at, credit_id
        ) as place
    from steps
),

-- one step after the other; `burns` is what the steps before it paid
walked as (
    select
        invoice_account_id,
        currency_code,
        0::bigint as place,
        0::decimal(38, 6) as burned_amount,
        []::struct(billing_period varchar, credit_id varchar, account_id varchar, amount decimal(38, 6))[] as burns
    from ordered
    group by all
    union all
    select
        ordered.invoice_account_id,
        ordered.currency_code,
        ordered.place,
        greatest(0, least(
            ordered.left_amount - coalesce(list_sum([burn.amount for burn in walked.burns if burn.credit_id = ordered.credit_id]), 0),
            ordered.members_due - coalesce(list_sum([
                burn.amount for burn in walked.burns
                if burn.billing_period = ordered.billing_period and list_contains(ordered.member_account_ids, burn.account_id)
            ]), 0),
            ordered.invoice_due - coalesce(list_sum([burn.amount for burn in walked.burns if burn.billing_period = ordered.billing_period]), 0)
        ))::decimal(38, 6) as burned,
        list_append(walked.burns, {
            'billing_period': ordered.billing_period, 'credit_id': ordered.credit_id, 'account_id': ordered.account_id, 'amount': burned
        })
    from walked
    inner join ordered
        on walked.invoice_account_id = ordered.invoice_account_id and walked.currency_code = ordered.currency_code and walked.place + 1 = ordered.place
)

select
    {{ line_id(["ordered.billing_period", "ordered.account_id", "'credit'", "ordered.credit_id"]) }} as line_id,
    ordered.billing_period,
    ordered.account_id,
    ordered.credit_id,
    ordered.first_date,
    ordered.last_date,
    ordered.currency_code,
    walked.burned_amount
from walked
inner join ordered
    on walked.invoice_account_id = ordered.invoice_account_id and walked.currency_code = ordered.currency_code and walked.place = ordered.place

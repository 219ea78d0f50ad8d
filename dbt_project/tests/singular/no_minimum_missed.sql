-- Failure it prevents: a commitment that is agreed and not billed. What an account and those below it are charged, topped up, reaches the minimum.
with commitments as (
    select commitments.*, families.member_account_ids
    from {{ ref('stg_reference__commitments') }} as commitments
    inner join {{ ref('int_account_families') }} as families on commitments.account_id = families.account_id
),

periods as (
    select * from {{ ref('int_periods_dated') }} where is_billed and status = 'provisional'
),

charged as (
    select billing_period, account_id, currency_code, sum(amount) as amount
    from {{ ref('invoice_lines') }}
    where line_type in ('usage', 'subscription', 'discount', 'minimum')
    group by all
)

select periods.billing_period, commitments.commitment_id, commitments.minimum_amount, sum(charged.amount) as charged_amount
from periods
inner join commitments
    on periods.next_first_date > coalesce(commitments.valid_from, '-infinity'::date)
    and periods.next_first_date <= coalesce(commitments.valid_to, 'infinity'::date)
inner join {{ ref('currencies') }} as currencies on commitments.currency_code = currencies.currency_code
left join charged
    on periods.billing_period = charged.billing_period and commitments.currency_code = charged.currency_code
    and list_contains(commitments.member_account_ids, charged.account_id)
group by all
-- a shortfall is rounded at the minor unit: below it a minimum cannot be reached
having coalesce(sum(charged.amount), 0) + max({{ minor_amount('currencies.minor_unit') }}) <= commitments.minimum_amount

-- Failure it prevents: a credit that pays more than was granted, or an invoice that credits turn negative. Rule 16.
with burned as (
    select reference_id as credit_id, -sum(amount) as burned_amount
    from {{ ref('invoice_lines') }}
    where line_type = 'credit'
    group by all
)

select 'balance ' || credit_id || ' ' || billing_period as fault
from {{ ref('credit_balances') }}
where least(opening_amount, burned_amount, expired_amount, closing_amount) < 0 or opening_amount - burned_amount - expired_amount <> closing_amount
union all
select 'burned beyond its grant ' || burned.credit_id
from burned
left join {{ ref('stg_reference__credits') }} as credits on burned.credit_id = credits.credit_id
where burned.burned_amount > coalesce(credits.amount, 0)
union all
select 'invoice below zero ' || billing_period || ' ' || invoice_account_id
from {{ ref('invoice_lines') }}
group by billing_period, invoice_account_id, currency_code
having sum(amount) < 0 and count(*) filter (where line_type = 'credit') > 0

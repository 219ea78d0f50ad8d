-- Failure it prevents: a line for usage that did not happen. Mirror: no_usage_without_a_line.
with billed as (
    select billing_period, account_id, sku, sum(quantity) as quantity
    from {{ ref('invoice_lines') }}
    where line_type = 'usage' and status <> 'final'
    group by all
    having sum(quantity) <> 0
),

unpriced as (
    select billing_period, account_id, sku, sum(quantity) as quantity from {{ ref('unpriced_usage') }} group by all
),

usage as (
    select monthly.billing_period, monthly.account_id, monthly.sku, sum(monthly.quantity) - coalesce(max(unpriced.quantity), 0) as quantity
    from {{ ref('usage_monthly') }} as monthly
    left join unpriced using (billing_period, account_id, sku)
    where monthly.period_status <> 'final'
    group by all
)

select * from billed
except
select * from usage

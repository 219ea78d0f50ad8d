-- Failure it prevents: billable usage that is neither billed nor queued as unpriced: revenue lost in silence. Mirror: no_line_without_usage.
with usage as (
    select billing_period, account_id, usage.sku, sum(quantity) as quantity
    from {{ ref('usage_monthly') }} as usage
    left join {{ ref('stg_reference__skus') }} as skus on usage.sku = skus.sku
    where coalesce(skus.billable, true) and period_status <> 'final'
    group by all
),

lines as (
    select billing_period, account_id, sku, quantity from {{ ref('invoice_lines') }} where line_type = 'usage' and status <> 'final'
    union all
    select billing_period, account_id, sku, quantity from {{ ref('unpriced_usage') }}
),

billed as (
    select billing_period, account_id, sku, sum(quantity) as quantity from lines group by all
)

select * from usage
except
select * from billed

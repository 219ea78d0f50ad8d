with lines as (
    select * from {{ ref('invoice_lines') }}
),

invoiced as (
    select
        billing_period,
        invoice_account_id as account_id,
        currency_code,
        sum(amount)::decimal(38, 6) as amount,
        status,
        count(*)::bigint as line_count
    from lines
    group by billing_period, invoice_account_id, currency_code, status
)

select * from invoiced

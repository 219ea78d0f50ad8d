-- depends_on: {{ ref('billing_periods') }}, {{ ref('int_events_attributed') }}, {{ ref('stg_lake__files') }}
{{ config(post_hook="{{ create_line_entries() }}") }}

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

with lines as (
    select * from {{ ref('int_invoice_lines') }}
),

final as (
    select
        line_id,
        billing_period,
        origin_period,
        account_id,
        line_type,
        metric,
        sku,
        region,
        plan_id,
        price_id,
        pricing_model,
        first_date,
        last_date,
        quantity::decimal(38, 9) as quantity,
        unit,
        currency_code,
        precise_amount::decimal(38, 12) as precise_amount,
        amount::decimal(38, 6) as amount,
        status,
        version::integer as version
    from lines
)

select * from final

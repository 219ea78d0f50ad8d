with lines as (
    select * from {{ ref('int_invoice_lines') }}
),

final as (
    select
        line_id,
        billing_period,
        origin_period,
        account_id,
        invoice_account_id,
        line_type,
        charge_type,
        reference_id,
        base_line_id,
        metric,
        sku,
        region,
        plan_id,
        price_id,
        pricing_model,
        slice_from,
        first_date,
        last_date,
        quantity::decimal(38, 9) as quantity,
        unit,
        currency_code,
        precise_amount::decimal(38, 12) as precise_amount,
        amount::decimal(38, 6) as amount,
        reporting_currency_code,
        fx_rate_date,
        fx_rate::decimal(38, 12) as fx_rate,
        reporting_amount::decimal(38, 6) as reporting_amount,
        status,
        version::integer as version
    from lines
)

select * from final

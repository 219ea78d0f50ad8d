-- Lines of closed periods stand here as they were frozen, and are read from there once.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook="{{ forget_what_is_not_frozen(\"or status <> 'final'\") }}"
) }}

with frozen as (
    select * exclude (origin_line_id) from {{ ref('stg_finalized__invoice_lines') }} where {{ is_frozen_since("status = 'final'") }}
),

lines as (
    select * from frozen
    union all by name
    select * from {{ ref('int_lines_provisional') }}
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

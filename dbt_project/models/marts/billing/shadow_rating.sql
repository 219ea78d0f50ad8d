with ratings as (
    select * from {{ ref('stg_shadow__ratings') }}
),

final as (
    select
        billing_period,
        account_id,
        sku,
        currency_code,
        billed_amount::decimal(38, 6) as billed_amount,
        shadow_amount::decimal(38, 6) as shadow_amount,
        difference_amount::decimal(38, 6) as difference_amount
    from ratings
)

select * from final

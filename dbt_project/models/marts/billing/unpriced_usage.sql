with priced as (
    select * from {{ ref('int_usage_priced') }} where scenario in ('billed', 'known') and price_id is null
),

unpriced as (
    select
        billing_period,
        account_id,
        metric,
        sku,
        region,
        plan_id,
        min(billing_date) as first_date,
        max(last_billing_date) as last_date,
        sum(quantity)::decimal(38, 9) as quantity,
        unit,
        sum(event_count)::bigint as event_count
    from priced
    group by all
)

select * from unpriced

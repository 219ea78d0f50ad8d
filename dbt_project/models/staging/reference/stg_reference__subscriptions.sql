with source as (
    select * from {{ read_landed('reference', 'subscriptions') }}
),

in_force as (
    select
        subscription_id,
        account_id,
        sku,
        currency_code,
        monthly_amount,
        valid_from,
        valid_to
    from source
    where version = {{ version_in_force('subscriptions') }}
)

select * from in_force

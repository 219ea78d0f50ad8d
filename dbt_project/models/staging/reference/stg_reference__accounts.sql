with source as (
    select * from {{ read_landed('reference', 'accounts') }}
),

in_force as (
    select
        account_id,
        account_name,
        segment,
        parent_account_id,
        billing_timezone,
        currency_code
    from source
    where version = {{ version_in_force('accounts') }}
)

select * from in_force

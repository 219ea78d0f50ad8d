with source as (
    select * from {{ read_landed('reference', 'credits') }}
),

in_force as (
    select
        credit_id,
        account_id,
        currency_code,
        amount,
        priority,
        granted_at,
        expires_at
    from source
    where version = {{ version_in_force('credits') }}
)

select * from in_force

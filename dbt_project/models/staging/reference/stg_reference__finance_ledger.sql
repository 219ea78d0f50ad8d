with source as (
    select * from {{ read_landed('reference', 'finance_ledger') }}
),

in_force as (
    select
        entry_id,
        billing_period,
        account_id,
        sku,
        currency_code,
        amount,
        posted_at
    from source
    where version = {{ version_in_force('finance_ledger') }}
)

select * from in_force

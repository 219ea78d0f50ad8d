with source as (
    select * from {{ read_landed('reference', 'commitments') }}
),

in_force as (
    select
        commitment_id,
        account_id,
        currency_code,
        minimum_amount,
        valid_from,
        valid_to
    from source
    where version = {{ version_in_force('commitments') }}
)

select * from in_force

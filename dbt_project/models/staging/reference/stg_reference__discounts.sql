with source as (
    select * from {{ read_landed('reference', 'discounts') }}
),

in_force as (
    select
        discount_id,
        account_id,
        sku,
        percent,
        valid_from,
        valid_to
    from source
    where version = {{ version_in_force('discounts') }}
)

select * from in_force

with source as (
    select * from {{ read_landed('reference', 'price_tiers') }}
),

in_force as (
    select
        price_id,
        tier_number,
        up_to,
        unit_price,
        flat_fee,
        rate_percent
    from source
    where version = {{ version_in_force('price_tiers') }}
)

select * from in_force

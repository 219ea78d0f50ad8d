with source as (
    select * from {{ read_landed('reference', 'prices') }}
),

in_force as (
    select
        price_id,
        plan_id,
        sku,
        region,
        currency_code,
        model,
        free_units,
        package_size,
        valid_from,
        valid_to
    from source
    where version = {{ version_in_force('prices') }}
)

select * from in_force

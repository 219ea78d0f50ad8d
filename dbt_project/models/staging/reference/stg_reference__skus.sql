with source as (
    select * from {{ read_landed('reference', 'skus') }}
),

in_force as (
    select
        sku,
        metric,
        sku_name,
        service_name,
        service_category,
        billable
    from source
    where version = {{ version_in_force('skus') }}
)

select * from in_force

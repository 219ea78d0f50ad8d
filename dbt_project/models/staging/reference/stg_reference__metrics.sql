with source as (
    select * from {{ read_landed('reference', 'metrics') }}
),

in_force as (
    select
        metric,
        description,
        aggregation,
        unit,
        distinct_on,
        allow_negative,
        default_sku,
        owner
    from source
    where version = {{ version_in_force('metrics') }}
)

select * from in_force

with source as (
    select * from {{ read_landed('reference', 'units') }}
),

in_force as (
    select
        unit,
        base_unit,
        factor
    from source
    where version = {{ version_in_force('units') }}
)

select * from in_force

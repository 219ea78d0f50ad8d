with source as (
    select * from {{ read_landed('reference', 'attribution_keys') }}
),

in_force as (
    select
        key_type,
        key_value,
        account_id,
        team,
        valid_from,
        valid_to
    from source
    where version = {{ version_in_force('attribution_keys') }}
)

select * from in_force

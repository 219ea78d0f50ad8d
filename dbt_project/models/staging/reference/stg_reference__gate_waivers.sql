with source as (
    select * from {{ read_landed('reference', 'gate_waivers') }}
),

in_force as (
    select
        gate,
        billing_period,
        scope,
        reason,
        approved_by,
        expires_at
    from source
    where version = {{ version_in_force('gate_waivers') }}
)

select * from in_force

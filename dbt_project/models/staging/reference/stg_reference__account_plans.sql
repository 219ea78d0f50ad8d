with source as (
    select * from {{ read_landed('reference', 'account_plans') }}
),

in_force as (
    select
        account_id,
        plan_id,
        valid_from,
        valid_to
    from source
    where version = {{ version_in_force('account_plans') }}
)

select * from in_force

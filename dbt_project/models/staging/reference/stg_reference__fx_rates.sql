with source as (
    select * from {{ read_landed('reference', 'fx_rates') }}
),

in_force as (
    select
        rate_date,
        from_currency,
        to_currency,
        rate
    from source
    where version = {{ version_in_force('fx_rates') }}
)

select * from in_force

with source as (
    select * from {{ read_landed('gates', 'results') }}
),

renamed as (
    select
        gate,
        billing_period,
        cutoff_batch_id,
        (checked_at::timestamptz at time zone 'UTC') as checked_at,
        passed,
        coalesce(whole_period, true) as whole_period,
        waived,
        suite,
        observed,
        "limit",
        detail
    from source
)

select * from renamed

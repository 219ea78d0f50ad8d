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
        waived,
        suite,
        observed,
        "limit",
        detail
    from source
)

select * from renamed

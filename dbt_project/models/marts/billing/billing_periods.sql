with periods as (
    select * from {{ ref('int_periods_dated') }}
),

final as (
    select
        billing_period,
        status,
        has_usage,
        ended_at,
        cutoff_batch_id,
        finalized_at,
        receipt_sha256
    from periods
)

select * from final

with results as (
    select * from {{ ref('stg_gates__results') }}
),

final as (
    select
        gate,
        billing_period,
        cutoff_batch_id,
        checked_at,
        passed,
        observed,
        "limit",
        waived,
        suite,
        detail,
        whole_period
    from results
)

select * from final

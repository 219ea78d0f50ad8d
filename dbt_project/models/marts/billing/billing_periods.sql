with periods as (
    select * from {{ ref('int_periods_dated') }}
),

usage as (
    select billing_period, sum(event_count) as final_events from {{ ref('usage_monthly') }} group by all
),

late as (
    select billing_period, sum(abs(event_count)) as late_events from {{ ref('late_usage') }} group by all
),

final as (
    select
        periods.billing_period,
        periods.status,
        periods.has_usage,
        periods.ended_at,
        periods.cutoff_batch_id,
        periods.finalized_at,
        periods.receipt_sha256,
        -- events that the final figures do not hold, of those that they hold
        case when periods.status = 'final' then {{ ratio('coalesce(late.late_events, 0)', 'usage.final_events') }} end::decimal(38, 12) as finalization_drift_ratio
    from periods
    left join usage on periods.billing_period = usage.billing_period
    left join late on periods.billing_period = late.billing_period
)

select * from final

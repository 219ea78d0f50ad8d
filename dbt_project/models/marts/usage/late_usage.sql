with postings as (
    select * from {{ ref('int_postings_by_period') }} where is_after_close
),

late as (
    select
        billing_period,
        account_id,
        metric,
        sku,
        region,
        unit,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count,
        min(batch_id) as first_batch_id,
        max(batch_id) as last_batch_id
    from postings
    group by all
    -- a reversal and its new entry may leave nothing
    having sum(event_count) <> 0 or sum(quantity) <> 0
)

select * from late

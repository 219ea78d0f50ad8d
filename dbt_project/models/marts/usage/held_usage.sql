with entries as (
    select * from {{ ref('int_events_attributed') }} where outcome = 'held' and event_weight <> 0
),

held as (
    select
        landed_batch_id,
        outcome_reason as reason,
        producer,
        metric,
        unit,
        sum(entry * quantity)::decimal(38, 9) as quantity,
        sum(entry)::bigint as event_count,
        min(event_ts) as first_event_ts,
        max(event_ts) as last_event_ts
    from entries
    group by all
    having sum(entry) <> 0
)

select * from held

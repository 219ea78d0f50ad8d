with batches as (
    select * from {{ ref('batches') }}
),

entries as (
    select * from {{ ref('int_events_decided') }}
),

outcomes as (
    select landed_batch_id as batch_id, outcome, outcome_reason, sum(entry) as entry
    from entries
    group by all
),

decided as (
    select
        batch_id,
        sum(entry) filter (outcome = 'duplicate') as duplicates,
        sum(entry) filter (outcome = 'duplicate' and outcome_reason = 'conflicting') as conflicting_duplicates,
        sum(entry) filter (outcome = 'held') as held,
        sum(entry) filter (outcome = 'unattributed') as unattributed,
        sum(entry) filter (outcome = 'attributed') as attributed
    from outcomes
    group by batch_id
),

conserved as (
    select
        batches.batch_id,
        batches.records,
        batches.rejected,
        coalesce(decided.duplicates, 0)::bigint as duplicates,
        coalesce(decided.conflicting_duplicates, 0)::bigint as conflicting_duplicates,
        coalesce(decided.held, 0)::bigint as held,
        coalesce(decided.unattributed, 0)::bigint as unattributed,
        coalesce(decided.attributed, 0)::bigint as attributed
    from batches
    left join decided on batches.batch_id = decided.batch_id
),

compared as (
    select
        *,
        (records - rejected - duplicates - held - unattributed - attributed)::bigint as difference
    from conserved
)

select * from compared

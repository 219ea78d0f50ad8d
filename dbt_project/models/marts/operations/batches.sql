{{ config(post_hook="{{ create_batch_at() }}") }}

with batches as (
    select * from {{ ref('stg_lake__batches') }}
),

files as (
    select * from {{ ref('stg_lake__files') }}
),

counted as (
    select
        batches.batch_id,
        batches.landed_at,
        count(files.file_order)::bigint as files,
        count(files.file_order) filter (files.status = 'rejected')::bigint as rejected_files,
        coalesce(sum(files.records), 0)::bigint as records,
        coalesce(sum(files.rejected), 0)::bigint as rejected,
        coalesce(sum(files.records) filter (files.replayed_batch_id is not null), 0)::bigint as replayed,
        min(files.first_event_ts) as first_event_ts,
        max(files.last_event_ts) as last_event_ts,
        batches.pii_values_masked
    from batches
    left join files on batches.batch_id = files.batch_id
    group by all
)

select * from counted

with batches as (
    select * from {{ ref('stg_lake__batches') }}
),

unnested as (
    select
        batch_id,
        landed_at,
        unnest(files) as file
    from batches
),

renamed as (
    select
        batch_id,
        landed_at,
        file.file_order,
        file.file_name,
        file.sha256,
        file.bytes,
        file.format,
        file.compression,
        file.status,
        file.reason,
        file.records,
        file.accepted,
        file.rejected,
        (file.first_event_ts::timestamptz at time zone 'UTC') as first_event_ts,
        (file.last_event_ts::timestamptz at time zone 'UTC') as last_event_ts,
        file.replay_of.batch_id as replayed_batch_id,
        file.replay_of.file_order as replayed_file_order
    from unnested
)

select * from renamed

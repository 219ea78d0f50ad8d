with source as (
    select * from {{ read_landed('lake', 'usage_events') }}
),

batches as (
    select batch_id, landed_at from {{ ref('stg_lake__batches') }}
),

-- the inner join keeps to batches that have a manifest
defaulted as (
    select
        source.batch as batch_id,
        source.file_order,
        source.row_number,
        source.producer,
        source.event_id as event_text,
        source.event_uuid,
        {{ id_of_event('source', 'event_id') }} as event_id,
        source.event_ts,
        coalesce(source.ingested_ts, batches.landed_at) as ingested_ts,
        source.metric,
        source.quantity,
        source.unit,
        source.sku,
        source.account_id,
        source.api_key,
        source.namespace,
        source.resource_id,
        coalesce(source.region, 'global') as region,
        coalesce(source.sampling_rate, 1)::decimal(18, 9) as sampling_rate,
        source.corrects,
        source.correction,
        source.dims,
        source.extra
    from source
    inner join batches on source.batch = batches.batch_id
)

select * from defaulted

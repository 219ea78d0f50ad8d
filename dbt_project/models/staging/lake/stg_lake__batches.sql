with source as (
    select * from {{ read_landed('lake', 'manifests') }}
),

known as (
    select
        batch_id,
        (landed_at::timestamptz at time zone 'UTC') as landed_at,
        files,
        "references" as reference_files,
        coalesce(list_sum(map_values(pii_detections)), 0)::bigint as pii_values_masked
    from source
    where batch_id <= {{ as_of_batch() }}
)

select * from known

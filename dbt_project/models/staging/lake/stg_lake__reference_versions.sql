with batches as (
    select * from {{ ref('stg_lake__batches') }}
),

unnested as (
    select
        batch_id,
        unnest(reference_files) as file
    from batches
),

versions as (
    select
        file."table" as table_name,
        file.version,
        batch_id,
        file.sha256
    from unnested
    where file.status = 'landed'
),

succeeded as (
    select
        *,
        -- no later version: in force for good, which a number beyond every batch says without a null to guard in each join
        lead(batch_id, 1, 9223372036854775807) over (partition by table_name order by version) as next_batch_id
    from versions
)

select * from succeeded

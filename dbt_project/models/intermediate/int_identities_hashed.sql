-- A key store for finding duplicates over the whole history: of each record a 64-bit hash of its identity, and where it stands. The hash finds, it never
-- decides. It spares every night reading the ids of all years again: 8 bytes a record instead of its text.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set last_batch = watermark() %}

with events as (
    select * from {{ ref('stg_lake__usage_events') }} where batch_id > {{ last_batch }}
),

hashed as (
    select
        batch_id,
        file_order,
        row_number,
        hash(producer, event_id) as identity_hash
    from events
)

select * from hashed

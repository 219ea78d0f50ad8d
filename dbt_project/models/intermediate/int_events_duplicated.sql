-- The records that came again: every record whose (producer, event_id) landed before, over the whole history. Most identities come once, so
-- the few that may repeat are found by a hash first and then decided exactly: the hash never decides.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set last_batch = watermark() %}

with events as (
    select * from {{ ref('stg_lake__usage_events') }}
),

new_hashes as (
    select distinct hash(producer, event_id) as identity_hash from events where batch_id > {{ last_batch }}
),

repeated_hashes as (
    select hash(producer, event_id) as identity_hash
    from events
    {% if is_incremental() -%}
    where hash(producer, event_id) in (select identity_hash from new_hashes)
    {% endif -%}
    group by 1
    having count(*) > 1
),

candidates as (
    select
        batch_id,
        file_order,
        row_number,
        producer,
        event_id,
        -- what the event says; when and how it was carried (ingested_ts, schema version) is not part of it
        row(event_ts, metric, quantity, unit, sku, account_id, api_key, namespace, resource_id, region, sampling_rate, corrects, correction, dims, extra) as payload
    from events
    where hash(producer, event_id) in (select identity_hash from repeated_hashes)
),

ranked as (
    select
        *,
        row_number() over identity as arrival,
        first_value(batch_id) over identity as first_batch_id,
        first_value(file_order) over identity as first_file_order,
        first_value(row_number) over identity as first_row_number,
        payload is distinct from first_value(payload) over identity as is_conflicting
    from candidates
    window identity as (partition by producer, event_id order by batch_id, file_order, row_number)
),

duplicated as (
    select
        batch_id,
        file_order,
        row_number,
        producer,
        event_id,
        first_batch_id,
        first_file_order,
        first_row_number,
        is_conflicting
    from ranked
    where arrival > 1 and batch_id > {{ last_batch }}
)

select * from duplicated

-- The records that came again: every record whose (producer, event_id) landed before, over the whole history. Most identities come once, so
-- the few that may repeat are found by a hash first and then decided exactly: the hash never decides. Identities are no CTE: as one that is read
-- twice they would be written down, all of them.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set last_batch = watermark() %}

with repeated_hashes as (
    select identity_hash
    from {{ ref('int_identities_hashed') }}
    {% if is_incremental() -%}
    semi join (
        select identity_hash from {{ ref('int_identities_hashed') }} where batch_id > {{ last_batch }}
    ) as new_identities using (identity_hash)
    {%- endif %}
    group by identity_hash
    having count(*) > 1
),

places as (
    select batch_id, file_order, row_number from {{ ref('int_identities_hashed') }} semi join repeated_hashes using (identity_hash)
),

-- where nights find a few dozen files, DuckDB reads no others
files as (
    select distinct batch_id, file_order from places
),

events as (
    select * from {{ ref('stg_lake__usage_events') }} semi join files using (batch_id, file_order)
),

candidates as (
    select
        events.batch_id,
        events.file_order,
        events.row_number,
        events.producer,
        {{ id_of_event('events') }} as event_id,
        -- what the event says; when and how it was carried (ingested_ts, schema version) is not part of it
        row(
            events.event_ts, events.metric, events.quantity, events.unit, events.sku, events.account_id, events.api_key, events.namespace,
            events.resource_id, events.region, events.sampling_rate, events.corrects, events.correction, events.dims, events.extra
        ) as payload
    from events
    inner join places using (batch_id, file_order, row_number)
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

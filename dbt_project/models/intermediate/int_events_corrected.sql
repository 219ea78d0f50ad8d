-- Which record corrects which: every counted correction whose target, a counted record, has landed, over the whole history. Most events are
-- never corrected, so the few corrections are found first, then their targets by a hash, then exactly: the hash never decides. Identities are no CTE:
-- as one that is read twice they would be written down, all of them.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set last_batch = watermark() %}

with duplicated as (
    select * from {{ ref('int_events_duplicated') }}
),

-- whole ones; a record that names itself has no target
corrections as (
    select batch_id, file_order, row_number, producer, corrects, correction, hash(producer, corrects) as target_hash
    from {{ ref('stg_lake__usage_events') }}
    where corrects is not null and correction in ('retract', 'replace') and corrects <> event_id
),

-- a pair is new when either of the two is
places as (
    select batch_id, file_order, row_number
    from {{ ref('int_identities_hashed') }}
    where batch_id > {{ last_batch }} and identity_hash in (select target_hash from corrections)
    {%- if is_incremental() %}
    union all
    select batch_id, file_order, row_number
    from {{ ref('int_identities_hashed') }}
    where batch_id <= {{ last_batch }} and identity_hash in (select target_hash from corrections where batch_id > {{ last_batch }})
    {%- endif %}
),

candidates as (
    select
        events.batch_id, events.file_order, events.row_number, events.producer, events.event_id,
        coalesce(events.correction = 'retract', false) as is_retraction
    from {{ ref('stg_lake__usage_events') }} as events
    inner join places using (batch_id, file_order, row_number)
),

paired as (
    select
        greatest(corrections.batch_id, candidates.batch_id) as batch_id,
        corrections.batch_id as correction_batch_id,
        corrections.file_order as correction_file_order,
        corrections.row_number as correction_row_number,
        corrections.correction,
        candidates.batch_id as target_batch_id,
        candidates.file_order as target_file_order,
        candidates.row_number as target_row_number,
        candidates.is_retraction as is_target_retraction
    from corrections
    inner join candidates on corrections.producer = candidates.producer and corrections.corrects = candidates.event_id
),

counted as (
    select paired.*
    from paired
    anti join duplicated
        on correction_batch_id = duplicated.batch_id and correction_file_order = duplicated.file_order and correction_row_number = duplicated.row_number
    anti join duplicated as duplicated_targets
        on target_batch_id = duplicated_targets.batch_id and target_file_order = duplicated_targets.file_order
        and target_row_number = duplicated_targets.row_number
    where paired.batch_id > {{ last_batch }}
)

select * from counted

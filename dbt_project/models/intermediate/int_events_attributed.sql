-- The ledger of decisions in full: int_events_decided with what its kinds and holders stand for. What an event is called (event_id) stands in the lake, at
-- (landed_batch_id, file_order, row_number). item_id and account_number: numbers for what is used and by which account, to group by.
{{ config(materialized='view') }}

with entries as (
    select * from {{ ref('int_events_decided') }}
),

kinds as (
    select * from {{ ref('int_kinds_decided') }}
),

holders as (
    select * from {{ ref('int_holders_decided') }}
),

attributed as (
    select
        entries.batch_id,
        entries.landed_batch_id,
        entries.file_order,
        entries.row_number,
        entries.entry,
        entries.outcome::varchar as outcome,
        entries.outcome_reason,
        holders.key_type,
        holders.key_value,
        holders.resolved_account_id as account_id,
        kinds.producer,
        entries.event_ts,
        entries.ingested_ts,
        date_trunc('hour', entries.event_ts) as usage_hour,
        entries.billing_date,
        kinds.metric,
        kinds.billed_sku as sku,
        kinds.region,
        kinds.billed_unit as unit,
        entries.quantity,
        entries.quantity_variance,
        entries.event_weight,
        kinds.aggregation,
        kinds.sampling_rate,
        entries.distinct_value,
        if({{ aggregates_by('kinds.aggregation', 'calendar') }}, holders.billing_timezone, null) as calendar_zone,
        kinds.item_id,
        holders.account_number
    from entries
    left join kinds on entries.kind_id = kinds.kind_id
    left join holders on entries.holder_id = holders.holder_id
)

select * from attributed

-- The hours in which the usage of a batch happened: their local dates are looked up in the place of each event's.
{{ config(materialized='incremental', incremental_strategy='append') }}

select distinct batch_id, date_trunc('hour', event_ts) as usage_hour
from {{ ref('stg_lake__usage_events') }}
where batch_id > {{ watermark() }}

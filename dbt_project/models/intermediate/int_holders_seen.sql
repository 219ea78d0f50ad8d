-- What events say of who used it, in each batch: the keys as they carry them, which are resolved in the place of the events.
{{ config(materialized='incremental', incremental_strategy='append') }}

select distinct batch_id, {{ holder_columns() | join(', ') }}
from {{ ref('stg_lake__usage_events') }}
where batch_id > {{ watermark() }}

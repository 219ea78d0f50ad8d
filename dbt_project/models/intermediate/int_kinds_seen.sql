-- What events say of what was used, in each batch: a few hundred combinations, which are decided in the place of millions of events.
{{ config(materialized='incremental', incremental_strategy='append') }}

select distinct batch_id, {{ kind_columns() | join(', ') }}
from {{ ref('stg_lake__usage_events') }}
where batch_id > {{ watermark() }}

{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook=["{{ forget_touched('billing_date') }}", "{{ forget_levels(\"strftime(billing_date, '%Y-%m')\") }}"]
) }}

with {{ postings_summed(['usage_hour', 'billing_date']) }},

{{ rolled_up(['usage_hour', 'billing_date'], 'billing_date', '12') }}

select
    usage_hour,
    billing_date,
    account_id,
    metric,
    sku,
    region,
    unit,
    quantity,
    event_count,
    quantity_variance,
    last_batch_id,
    aggregation
from rolled_up

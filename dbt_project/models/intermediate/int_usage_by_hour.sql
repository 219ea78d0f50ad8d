-- depends_on: {{ ref('int_postings_by_period') }}
-- usage.usage_hourly, coded: numbers stand for accounts and what was used, so that nights write and compare numbers instead of six texts a row.
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook=["{{ forget_touched('billing_date') }}", "{{ forget_levels(\"strftime(billing_date, '%Y-%m')\", coded=true) }}"]
) }}

with {{ postings_summed(['usage_hour', 'billing_date'], as_posted=true) }},

{{ rolled_up(['usage_hour', 'billing_date'], 'billing_date', '12') }}

select usage_hour, billing_date, account_number, item_id, quantity, event_count, quantity_variance, last_batch_id
from rolled_up

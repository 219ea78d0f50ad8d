-- depends_on: {{ ref('int_postings_by_period') }}
{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook=["{{ forget_touched('billing_date') }}", "{{ forget_levels(\"strftime(billing_date, '%Y-%m')\") }}"]
) }}

with summed as (
    select * from {{ ref('int_usage_by_day') }}
    {% if is_incremental() %}where billing_date in ({{ touched('billing_date') }}){% endif %}
),

{{ rolled_up(
    ['billing_date'], 'billing_date', microseconds_between('billing_date', 'billing_date + interval 1 day', 'calendar_zone') ~ ' // 300000000',
    more=['peak_per_minute']
) }}

select
    billing_date,
    account_id,
    metric,
    sku,
    region,
    unit,
    quantity,
    event_count,
    quantity_variance,
    peak_per_minute,
    last_batch_id,
    aggregation
from rolled_up

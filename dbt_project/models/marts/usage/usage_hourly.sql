{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    pre_hook=["{{ forget_touched('billing_date') }}", "{{ forget_levels(\"strftime(billing_date, '%Y-%m')\") }}"]
) }}

with postings as (
    select * from {{ ref('int_postings_by_period') }}
    where not is_after_close and not {{ aggregates_by('aggregation', 'level') }}
    {%- if is_incremental() %} and billing_date in ({{ touched('billing_date') }}){% endif %}
),

summed as (
    select
        usage_hour,
        billing_date,
        account_number,
        item_id,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count,
        sum(quantity_variance)::decimal(38, 9) as quantity_variance,
        max(batch_id) as last_batch_id
    from postings
    group by all
    -- postings that cancel out leave no usage
    having sum(event_count) <> 0
),

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

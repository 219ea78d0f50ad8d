{{ config(materialized='view') }}
{%- set unit = figure_unit('items.billed_unit', 'items.aggregation') %}

with usage as (
    select * from {{ in_warehouse(ref('int_usage_by_date')) }}
)

select
    usage.billing_date,
    accounts.resolved_account_id as account_id,
    items.metric,
    items.billed_sku as sku,
    items.region,
    {{ unit }} as unit,
    usage.quantity,
    usage.event_count,
    usage.quantity_variance,
    usage.peak_per_minute,
    usage.last_batch_id,
    items.aggregation
from usage
{{ join_described('usage') }}

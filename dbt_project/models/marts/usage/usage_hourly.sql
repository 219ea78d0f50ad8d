{{ config(materialized='view') }}

with usage as (
    select * from {{ in_warehouse(ref('int_usage_by_hour')) }}
)

select
    usage.usage_hour,
    usage.billing_date,
    {{ described_series(figure_unit('items.billed_unit', 'items.aggregation')) }},
    usage.quantity,
    usage.event_count,
    usage.quantity_variance,
    usage.last_batch_id,
    items.aggregation
from usage
{{ join_described('usage') }}

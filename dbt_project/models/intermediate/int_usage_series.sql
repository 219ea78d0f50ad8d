-- What each pair of numbers in the hourly and daily figures stands for: for whoever works on the coded figures, because there are fewer series than
-- rows, and then tells them by their texts. Hours have no pair that their day has not.
{{ config(materialized='view') }}

with series as (
    select distinct account_number, item_id from {{ in_warehouse(ref('int_usage_by_date')) }}
)

select
    series.account_number,
    series.item_id,
    {{ described_columns(figure_unit('items.billed_unit', 'items.aggregation')) }}
from series
{{ join_described('series') }}

-- depends_on: {{ ref('usage_hourly') }}, {{ ref('usage_daily') }}, {{ ref('invoice_lines') }}, {{ ref('invoice_line_tiers') }}, {{ ref('usage_monthly') }}, {{ ref('line_allocations') }}, {{ ref('ledger_reconciliation') }}
-- The last batch whose entries and figures have passed the data tests: dbt builds this behind them, and not at all when one of them fails.
select
    coalesce(max(batch_id) filter (where {{ tests_everything() }}), 0)::bigint as tested_batch_id,
    {{ tested_batch() }}::bigint as earlier_batch_id
from {{ ref('int_events_decided') }}

-- Failure it prevents: usage that stays in a mart after its postings were reversed. Mirror: no_posting_without_usage.
with posted as (
    {{ posted_per_day() | indent(4) }}
),

shown as (
    select billing_date, account_id, metric, sku, region, if({{ aggregates_by('aggregation', 'adding') }}, quantity, 0) as quantity, event_count
    from {{ ref('usage_daily') }}
    -- a level carries over days without events
    where (event_count <> 0 or not {{ aggregates_by('aggregation', 'level') }}) and {{ untested('date') }}
)

select * from shown anti join posted using (billing_date, account_id, metric, sku, region, quantity, event_count)

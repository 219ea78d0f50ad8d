-- Failure it prevents: a refresh that misses a touched date, so that a mart no longer is the sum of its postings; of metrics that do not add
-- up, that their events are not counted. Mirror: no_usage_without_posting.
with posted as (
    {{ posted_per_day() | indent(4) }}
),

shown as (
    select billing_date, account_id, metric, sku, region, if({{ aggregates_by('aggregation', 'adding') }}, quantity, 0) as quantity, event_count
    from {{ ref('usage_daily') }}
    where {{ untested('date') }}
)

select * from posted anti join shown using (billing_date, account_id, metric, sku, region, quantity, event_count)
where event_count <> 0

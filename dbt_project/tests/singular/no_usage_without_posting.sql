-- Failure it prevents: usage that stays in a mart after its postings were reversed. Mirror: no_posting_without_usage.
with posted as (
    select billing_date, account_id, metric, sku, region, sum(if({{ aggregates_by('aggregation', 'adding') }}, quantity, 0)) as quantity, sum(event_count) as event_count
    from {{ ref('int_postings_by_period') }}
    where not is_after_close
    group by all
)

select billing_date, account_id, metric, sku, region, if({{ aggregates_by('aggregation', 'adding') }}, quantity, 0) as quantity, event_count
from {{ ref('usage_daily') }}
-- a level carries over days without events
where event_count <> 0 or not {{ aggregates_by('aggregation', 'level') }}
except
select * from posted

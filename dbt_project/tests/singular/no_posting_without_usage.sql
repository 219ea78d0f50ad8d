-- Failure it prevents: a refresh that misses a touched date, so that a mart no longer is the sum of its postings; of metrics that do not add
-- up, that their events are not counted. Mirror: no_usage_without_posting.
with posted as (
    select billing_date, account_id, metric, sku, region, sum(if({{ aggregates_by('aggregation', 'adding') }}, quantity, 0)) as quantity, sum(event_count) as event_count
    from {{ ref('int_postings_by_period') }}
    where not is_after_close
    group by all
    having sum(event_count) <> 0
)

select * from posted
except
select billing_date, account_id, metric, sku, region, if({{ aggregates_by('aggregation', 'adding') }}, quantity, 0), event_count
from {{ ref('usage_daily') }}

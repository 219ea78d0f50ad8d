-- Failure it prevents: a refresh that misses a touched date, so that a mart no longer is the sum of its postings. Mirror: no_usage_without_posting.
with posted as (
    select billing_date, account_id, metric, sku, region, sum(quantity) as quantity, sum(event_count) as event_count
    from {{ ref('int_postings_by_period') }}
    where not is_after_close
    group by all
    having sum(event_count) <> 0
)

select * from posted
except
select billing_date, account_id, metric, sku, region, quantity, event_count from {{ ref('usage_daily') }}

-- Failures it prevents, both ways: a refresh that misses a touched date, so that a mart no longer is the sum of its postings; and usage that stays in
-- a mart after its postings were reversed. Of metrics that do not add up, their events are counted; a day without an event may only carry a level.
with postings as (
    select * from {{ ref('int_postings_by_period') }} where not is_after_close and {{ untested('date') }}
),

usage as not materialized (
    select * from {{ ref('int_usage_by_date') }} where {{ untested('date') }}
),

adding as (
    select item_id from {{ ref('int_kinds_decided') }} where {{ aggregates_by('aggregation', 'adding') }}
),

levels as (
    select item_id from {{ ref('int_kinds_decided') }} where {{ aggregates_by('aggregation', 'level') }}
),

entries as (
    select billing_date, account_number, item_id, quantity, event_count from postings
    union all
    select billing_date, account_number, item_id, -quantity, -event_count from usage
)

select
    billing_date, account_number, item_id,
    sum(quantity) as missing_quantity,
    sum(event_count) as missing_events
from entries
group by billing_date, account_number, item_id
having missing_events <> 0 or (missing_quantity <> 0 and item_id in (from adding))
union all
select billing_date, account_number, item_id, -quantity, 0
from usage
where event_count = 0 and item_id not in (from levels)

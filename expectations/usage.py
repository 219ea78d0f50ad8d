"""The gates of usage: what was landed is counted, once, in the right month, and every rollup adds up.

All limits are zero. Nothing here is an estimate: quantities are exact decimals, so a rollup that is off by one digit
in the ninth place is off. Figures that do not add up from parts (a maximum, an average, distinct values) are left out
of the sums by `ADDS_UP`; their event counts still have to add up.
"""

from typing import TYPE_CHECKING

from expectations.gate import Gate, build_suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

ADDS_UP = "coalesce(metrics.aggregation in ('sum', 'count'), true)"
NOTHING_LOST = "figures are exact decimals, so any difference is lost or invented usage"

GRAIN = "account_id, metric, sku, region"


def _unique(name: str, mart: str, grain: str) -> Gate:
    return Gate(
        name=name,
        proves=f"{mart} holds one row per {grain}",
        limit="0 keys with more than one row",
        why="a doubled row is billed twice",
        reads=(mart,),
        # the few keys that may be doubled are found by a hash and then compared in full: half the time
        breaks=f"""
with doubled as (
    select hash({grain}) as grain_hash from {mart} group by grain_hash having count(*) > 1
)
select {grain}, count(*) as row_count
from {mart}
where hash({grain}) in (select grain_hash from doubled)
group by {grain}
having count(*) > 1
""",
        order_by=grain,
    )


def _sums(name: str, parts: str, whole: str, grain: str) -> Gate:
    """The parts add up to the whole, both ways: a missing key counts as zero.

    Keys that may differ are found by a hash and then compared in full, which takes a third of the time. Two keys of one hash would hide
    a difference only if they were off by the same amount in opposite directions, and ten million keys have a pair of one hash once in
    100,000 months.
    """
    return Gate(
        name=name,
        proves=f"{parts} sums exactly to {whole}, per {grain}",
        limit="0 keys that differ",
        why=NOTHING_LOST,
        reads=(parts, whole, "metrics"),
        breaks=f"""
with sides as not materialized (
    select {grain}, quantity, event_count, true as is_part from {parts}
    union all
    select {grain}, quantity, event_count, false from {whole}
), suspects as (
    select hash({grain}) as grain_hash
    from sides
    group by grain_hash
    having coalesce(sum(if(is_part, quantity, -quantity)), 0) <> 0 or coalesce(sum(if(is_part, event_count, -event_count)), 0) <> 0
), compared as (
    select
        {grain},
        coalesce(sum(quantity) filter (where is_part), 0) as summed_quantity,
        coalesce(sum(quantity) filter (where not is_part), 0) as shown_quantity,
        coalesce(sum(event_count) filter (where is_part), 0) as summed_event_count,
        coalesce(sum(event_count) filter (where not is_part), 0) as shown_event_count
    from sides
    where hash({grain}) in (select grain_hash from suspects)
    group by {grain}
)
select compared.*
from compared left join metrics using (metric)
where summed_event_count <> shown_event_count or ({ADDS_UP} and summed_quantity <> shown_quantity)
""",
        order_by=grain,
    )


CONSERVATION = Gate(
    name="conservation_holds",
    proves="every batch is there, with records = rejected + duplicates + held + unattributed + attributed",
    limit="0 batches that differ",
    why="a record is counted or has a reason, never lost (rules 1 and 8)",
    reads=("batches", "event_conservation"),
    # The sum is taken again here: the mart's own difference column is not its own witness.
    breaks="""
select
    batch_id, batches.records as landed_records, counted.records as counted_records, counted.rejected,
    counted.duplicates, counted.held, counted.unattributed, counted.attributed, counted.difference
from batches full outer join event_conservation as counted using (batch_id)
where coalesce(batches.records, 0) <> coalesce(counted.records, 0)
    or counted.difference <> 0
    or coalesce(
        counted.records
        <> counted.rejected + counted.duplicates + counted.held + counted.unattributed + counted.attributed,
        counted.batch_id is not null  -- a null among the figures is a figure that nobody counted
    )
""",
    order_by="batch_id",
)

QUANTITIES_PRESENT = Gate(
    name="quantities_present",
    proves="every usage row has its account, metric, SKU, region, unit, quantity and event count",
    limit="0 rows with a null",
    why="a null falls out of every sum and join without a word",
    reads=("usage_hourly", "usage_daily", "usage_monthly"),
    breaks="""
select *
from (
    select
        'usage_hourly' as mart, account_id, metric, sku, region, cast(billing_date as varchar) as billed_in, unit,
        quantity, event_count
    from usage_hourly
    union all
    select 'usage_daily', account_id, metric, sku, region, cast(billing_date as varchar), unit, quantity, event_count
    from usage_daily
    union all
    select 'usage_monthly', account_id, metric, sku, region, billing_period, unit, quantity, event_count
    from usage_monthly
) as rows_of_usage
where account_id is null or metric is null or sku is null or region is null or unit is null or quantity is null
    or event_count is null
""",
    order_by="mart, account_id, metric, sku, region, billed_in",
)

WITHIN_PERIOD = Gate(
    name="usage_within_period",
    proves="every hour filed under the period lies, in its account's time zone, in that calendar month",
    limit="0 hours of another month",
    why="a month is the customer's month, not UTC's (rule 9)",
    reads=("usage_hourly", "accounts"),
    # An hour of UTC may straddle local midnight (Kolkata is at +05:30): one of its two ends has to lie in the month.
    # Each hour of a zone is converted once, not per account: on 2.8 million rows 0.4 instead of 6 seconds.
    breaks="""
with zoned as (
    select usage_hourly.*, coalesce(billing_timezone, 'UTC') as billing_timezone
    from usage_hourly inner join accounts using (account_id)
), hours as (
    select distinct usage_hour, billing_date, billing_timezone from zoned
), local_hours as (
    select
        *,
        cast((usage_hour at time zone 'UTC') at time zone billing_timezone as date) as first_local_date,
        cast(
            ((usage_hour + interval 1 hour - interval 1 microsecond) at time zone 'UTC') at time zone billing_timezone
            as date
        ) as last_local_date
    from hours
), of_another_month as (
    select *
    from local_hours
    where date_trunc('month', billing_date) <> date_trunc('month', first_local_date)
        and date_trunc('month', billing_date) <> date_trunc('month', last_local_date)
)
select
    account_id, metric, sku, region, usage_hour, billing_date, billing_timezone, first_local_date, last_local_date,
    quantity
from zoned inner join of_another_month using (usage_hour, billing_date, billing_timezone)
""",
    order_by="account_id, metric, sku, region, usage_hour, billing_date",
)

ACCOUNTS_KNOWN = Gate(
    name="usage_accounts_known",
    proves="every account with usage stands in the accounts table",
    limit="0 unknown accounts",
    why="usage of nobody cannot be billed, and the account's time zone decides when its month ends",
    reads=("usage_monthly", "accounts"),
    breaks="""
select account_id, count(*) as row_count, sum(event_count) as event_count
from usage_monthly anti join accounts using (account_id)
group by account_id
""",
    order_by="account_id",
)

NOT_NEGATIVE = Gate(
    name="usage_not_negative",
    proves="no month's usage is below zero, unless its metric allows it",
    limit="0 negative rows",
    why="a reversal without its entry would credit the customer",
    reads=("usage_monthly", "metrics"),
    breaks=f"""
select {GRAIN}, usage_monthly.unit, quantity, event_count
from usage_monthly left join metrics using (metric)
where event_count < 0 or (quantity < 0 and not coalesce(metrics.allow_negative, false))
""",
    order_by=GRAIN,
)

PEAKS = Gate(
    name="peaks_not_above_usage",
    proves="no peak minute is above its day's or month's usage, no percentile above the peak",
    limit="0 peaks above",
    why="a minute is part of its day: a higher peak was taken from other events than the quantity",
    reads=("usage_daily", "usage_monthly", "metrics"),
    breaks=f"""
with peaks as (
    select cast(billing_date as varchar) as billed_in, {GRAIN}, quantity, peak_per_minute, null as p95_per_minute
    from usage_daily
    union all
    select billing_period, {GRAIN}, quantity, peak_per_minute, p95_per_minute from usage_monthly
)
select account_id, peaks.metric, sku, region, billed_in, quantity, peak_per_minute, p95_per_minute
from peaks left join metrics using (metric)
where p95_per_minute > peak_per_minute
    or ({ADDS_UP} and not coalesce(metrics.allow_negative, false) and peak_per_minute > quantity)
""",
    order_by="account_id, metric, sku, region, billed_in",
)

GATES: tuple[Gate, ...] = (
    CONSERVATION,
    _unique("usage_hourly_unique", "usage_hourly", f"usage_hour, billing_date, {GRAIN}"),
    _unique("usage_daily_unique", "usage_daily", f"billing_date, {GRAIN}"),
    _unique("usage_monthly_unique", "usage_monthly", GRAIN),
    _sums("postings_sum_to_hourly", "postings", "usage_hourly", f"usage_hour, billing_date, {GRAIN}"),
    _sums("hourly_sums_to_daily", "usage_hourly", "usage_daily", f"billing_date, {GRAIN}"),
    _sums("daily_sums_to_monthly", "usage_daily", "usage_monthly", GRAIN),
    QUANTITIES_PRESENT,
    WITHIN_PERIOD,
    ACCOUNTS_KNOWN,
    NOT_NEGATIVE,
    PEAKS,
)


def suite() -> "ExpectationSuite":
    """The suite `usage`; it runs on a batch that is a Scope."""
    return build_suite("usage", GATES)

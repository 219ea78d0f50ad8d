"""The gates of usage: what was landed is counted, once, in the right month, and every rollup adds up.

All limits are zero. Nothing here is an estimate: quantities are exact decimals, so a rollup that is off by one digit
in the ninth place is off. Figures that do not add up from parts (a maximum, an average, distinct values) are left out
of the sums by `ADDS_UP`; their event counts still have to add up.

Hours, days and postings are stored with a pair of numbers (`NUMBERS`) in the place of an account's and an item's texts,
which the marts put back. The gates that look at millions of rows work on the numbers: half the time. Two gates make
their proof hold for what the marts show: `usage_series_unique` (no two pairs read the same) and `usage_shown_in_full`
(no row is lost or doubled when the texts are put back).
"""

from typing import TYPE_CHECKING

from expectations.gate import Gate, build_suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

ADDS_UP = "coalesce(metrics.aggregation in ('sum', 'count'), true)"
NOTHING_LOST = "figures are exact decimals, so any difference is lost or invented usage"

GRAIN = "account_id, metric, sku, region"
NUMBERS = "account_number, item_id"  # the account's, and that of the metric, SKU and region
# What the numbers stand for, from two small tables. A number that they do not know is shown without texts.
DESCRIBED = "left join holders using (account_number) left join items using (item_id)"


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


def _unique_coded(name: str, mart: str, coded: str, time: str, within: str, number: str) -> Gate:
    """One row per time of a pair of numbers.

    `within` has at most 32 different times, by their `number`. Its rows are counted, and each sets the bit of its time:
    where rows are more than bits, they are counted per key. Two times of one bit are counted for nothing, but no doubled
    row is missed.
    """
    key = f"{time}, {NUMBERS}"
    return Gate(
        name=name,
        proves=f"{mart} holds one row per {time}, {GRAIN}",
        limit="0 keys with more than one row",
        why="a doubled row is billed twice",
        reads=(coded, "holders", "items"),
        breaks=f"""
with crowded as (
    select {within}
    from {coded}
    group by {within}
    having count(*) > coalesce(bit_count(bit_or(cast(1 << ({number} & 31) as uinteger))), 0)
), doubled as (
    select {key}, count(*) as row_count
    from {coded} semi join crowded using ({within})
    group by {key}
    having count(*) > 1
)
select {time}, {GRAIN}, {NUMBERS}, row_count
from doubled {DESCRIBED}
""",
        order_by=f"{time}, {GRAIN}, {NUMBERS}",
    )


def _sides(key: str, parts: str, whole: str) -> str:
    """CTE: the rows of both, and which are parts."""
    return f"""sides as not materialized (
    select {key}, quantity, event_count, true as is_part from {parts}
    union all
    select {key}, quantity, event_count, false from {whole}
)"""


def _compared(key: str, shown: str, doubtful: str, described: str) -> str:
    """The sums of both sides of the keys that stand in the CTE `doubtful`, where they differ."""
    return f"""compared as (
    select
        {key},
        coalesce(sum(quantity) filter (where is_part), 0) as summed_quantity,
        coalesce(sum(quantity) filter (where not is_part), 0) as shown_quantity,
        coalesce(sum(event_count) filter (where is_part), 0) as summed_event_count,
        coalesce(sum(event_count) filter (where not is_part), 0) as shown_event_count
    from sides
    where hash({key}) in (select hash({key}) from {doubtful})
    group by {key}
)
select {shown}, summed_quantity, shown_quantity, summed_event_count, shown_event_count
from compared {described} left join metrics using (metric)
where summed_event_count <> shown_event_count or ({ADDS_UP} and summed_quantity <> shown_quantity)
"""


def _sums(name: str, parts: str, whole: str, read: tuple[str, str], coded_by: str = "") -> Gate:
    """The parts add up to the whole, both ways: a missing key counts as zero. `coded_by`: they have numbers in the place of texts, and these times."""
    left, right = read
    key = f"{coded_by}, {NUMBERS}" if coded_by else GRAIN
    grain = f"{coded_by}, {GRAIN}" if coded_by else GRAIN
    described, shown = (DESCRIBED, f"{grain}, {NUMBERS}") if coded_by else ("", grain)
    return Gate(
        name=name,
        proves=f"{parts} sums exactly to {whole}, per {grain}",
        limit="0 keys that differ",
        why=NOTHING_LOST,
        reads=(left, right, "metrics", *(("holders", "items") if coded_by else ())),
        # first the keys that differ, of which there are few or none, and then both sides of those: half the time
        breaks=f"""
with {_sides(key, left, right)}, differing as (
    select {key}
    from sides
    group by {key}
    having coalesce(sum(if(is_part, quantity, -quantity)), 0) <> 0 or coalesce(sum(if(is_part, event_count, -event_count)), 0) <> 0
), {_compared(key, shown, "differing", described)}""",
        order_by=shown,
    )


def _same(name: str, parts: str, whole: str, times: str, coded: tuple[str, str]) -> Gate:
    """The parts add up to the whole, where nearly every key of the whole has one part: which is then the whole itself.

    Parts and wholes of the same key and figures are paired, at a quarter of what adding up millions of keys costs. In a date with
    as many pairs as paired parts and as paired wholes, each has one partner (m parts with n wholes make m·n pairs); else the
    whole date is doubtful. Keys of what has no partner, and of doubtful dates, are added up and compared in full.
    """
    parts_read, whole_read = coded
    key, shown = f"{times}, {NUMBERS}", f"{times}, {GRAIN}, {NUMBERS}"
    lone_key = ", ".join(f"if(is_lone, {column}, null) as {column}" for column in key.split(", "))
    return Gate(
        name=name,
        proves=f"{parts} sums exactly to {whole}, per {times}, {GRAIN}",
        limit="0 keys that differ",
        why=NOTHING_LOST,
        reads=(parts_read, whole_read, "metrics", "holders", "items"),
        breaks=f"""
with pairs as not materialized (
    select *, part is null or whole is null as is_lone
    from (select {key}, quantity, event_count, 1 as part from {parts_read})
        full join (select {key}, quantity, event_count, 1 as whole from {whole_read})
        using ({key}, quantity, event_count)
), tallied as materialized (
    select billing_date as date, is_lone, {lone_key}, count(part) as parts, count(whole) as wholes
    from pairs
    group by all
), stored as (
    select billing_date as date, count(part) as parts, count(whole) as wholes
    from (
        select billing_date, 1 as part, null as whole from {parts_read}
        union all
        select billing_date, null, 1 from {whole_read}
    )
    group by date
), doubtful as (
    select stored.date
    from stored left join tallied using (date)
    group by all
    having any_value(stored.parts) is distinct from sum(tallied.parts) or any_value(stored.wholes) is distinct from sum(tallied.wholes)
), suspects as (
    select {key} from tallied where is_lone
    union all
    select {key} from {parts_read} where billing_date in (select date from doubtful)
    union all
    select {key} from {whole_read} where billing_date in (select date from doubtful)
), {_sides(key, parts_read, whole_read)}, {_compared(key, shown, "suspects", DESCRIBED)}""",
        order_by=shown,
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

SERIES_UNIQUE = Gate(
    name="usage_series_unique",
    proves="no two of the period's pairs of numbers stand for the same account, metric, SKU and region, and none for two",
    limit="0 pairs that share their texts or have several",
    why="rows that are one by their numbers have to be one by their texts: a doubled row is billed twice",
    reads=("coded_hours", "coded_days", "holders", "items"),
    # of the period alone: a metric whose unit changed between two months has a number in each, under the same texts
    breaks=f"""
with used as (
    select {NUMBERS} from coded_hours union select {NUMBERS} from coded_days
), read as (
    select {GRAIN}, {NUMBERS}
    from used inner join holders using (account_number) inner join items using (item_id)
), same_texts as (
    select {GRAIN} from read group by {GRAIN} having count(*) > 1
), same_numbers as (
    select {NUMBERS} from read group by {NUMBERS} having count(*) > 1
)
select {GRAIN}, {NUMBERS} from read semi join same_texts using ({GRAIN})
union
select {GRAIN}, {NUMBERS} from read semi join same_numbers using ({NUMBERS})
""",
    order_by=f"{GRAIN}, {NUMBERS}",
)


def _per_date(mart: str, relation: str, side: str) -> str:
    """Rows, quantity and events of a relation, per date, as one `side` of `mart`."""
    return f"""
    select
        '{mart}' as mart, '{side}' as side, billing_date, count(*) as row_count, sum(quantity) as quantity,
        sum(event_count) as event_count
    from {relation}
    group by billing_date"""


SHOWN_IN_FULL = Gate(
    name="usage_shown_in_full",
    proves="per date, usage_hourly, usage_daily and postings show as many rows, quantity and events as are stored",
    limit="0 dates that differ",
    why="a row is stored with numbers: one that no texts belong to is lost on show, one that two belong to is doubled",
    reads=("usage_hourly", "coded_hours", "usage_daily", "coded_days", "postings", "coded_postings"),
    # both ways: a date that only one side has counts as zero on the other
    breaks="with sides as ("
    + "\n    union all".join(
        _per_date(mart, relation, side)
        for mart, coded in (
            ("usage_hourly", "coded_hours"),
            ("usage_daily", "coded_days"),
            ("postings", "coded_postings"),
        )
        for relation, side in ((mart, "shown"), (coded, "stored"))
    )
    + """
), compared as (
    select
        mart, billing_date,
        coalesce(sum(row_count) filter (where side = 'stored'), 0) as stored_rows,
        coalesce(sum(row_count) filter (where side = 'shown'), 0) as shown_rows,
        coalesce(sum(quantity) filter (where side = 'stored'), 0) as stored_quantity,
        coalesce(sum(quantity) filter (where side = 'shown'), 0) as shown_quantity,
        coalesce(sum(event_count) filter (where side = 'stored'), 0) as stored_event_count,
        coalesce(sum(event_count) filter (where side = 'shown'), 0) as shown_event_count
    from sides
    group by mart, billing_date
)
select *
from compared
where stored_rows <> shown_rows or stored_quantity <> shown_quantity or stored_event_count <> shown_event_count
""",
    order_by="mart, billing_date",
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
    reads=("coded_hours", "holders", "items", "accounts"),
    # No time zone is a day away from UTC: only an hour of the first or last day can lie in another month. An hour of UTC
    # may straddle local midnight (Kolkata is at +05:30): one of its two ends has to lie in the month. Each hour of a zone
    # is converted once, not per account.
    breaks="""
with doubtful as (
    select coded_hours.*
    from coded_hours, scope
    where usage_hour < first_date + interval 1 day or usage_hour >= next_date - interval 1 day
), zones as (
    select account_number, account_id, coalesce(billing_timezone, 'UTC') as billing_timezone
    from holders inner join accounts using (account_id)
), hours as (
    select distinct usage_hour, billing_date, billing_timezone from doubtful inner join zones using (account_number)
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
    account_id, metric, sku, region, account_number, item_id, usage_hour, billing_date, billing_timezone,
    first_local_date, last_local_date, quantity
from doubtful
    inner join zones using (account_number)
    inner join of_another_month using (usage_hour, billing_date, billing_timezone)
    left join items using (item_id)
""",
    order_by=f"{GRAIN}, {NUMBERS}, usage_hour, billing_date",
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

HOURLY_UNIQUE = _unique_coded(
    name="usage_hourly_unique",
    mart="usage_hourly",
    coded="coded_hours",
    time="usage_hour, billing_date",
    # a date has 26 hours at most, of which one may be on either side of a local midnight
    within=f"billing_date, {NUMBERS}",
    number="epoch_us(usage_hour) // 3600000000",
)
DAILY_UNIQUE = _unique_coded(
    name="usage_daily_unique",
    mart="usage_daily",
    coded="coded_days",
    time="billing_date",
    within=NUMBERS,
    number="day(billing_date)",
)
GATES: tuple[Gate, ...] = (
    CONSERVATION,
    SERIES_UNIQUE,
    SHOWN_IN_FULL,
    HOURLY_UNIQUE,
    DAILY_UNIQUE,
    _unique("usage_monthly_unique", "usage_monthly", GRAIN),
    _same(
        "postings_sum_to_hourly",
        "postings",
        "usage_hourly",
        "usage_hour, billing_date",
        ("coded_postings", "coded_hours"),
    ),
    _sums("hourly_sums_to_daily", "usage_hourly", "usage_daily", ("coded_hours", "coded_days"), "billing_date"),
    _sums("daily_sums_to_monthly", "usage_daily", "usage_monthly", ("usage_daily_of_period", "usage_monthly")),
    QUANTITIES_PRESENT,
    WITHIN_PERIOD,
    ACCOUNTS_KNOWN,
    NOT_NEGATIVE,
    PEAKS,
)


def suite() -> "ExpectationSuite":
    """The suite `usage`; it runs on a batch that is a Scope."""
    return build_suite("usage", GATES)

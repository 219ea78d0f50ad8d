"""Rule 10 for all aggregations but levels: what the events of a window come to."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction

from tests.oracle.exact import round_half_away
from tests.oracle.usage import QUANTITY_DIGITS, ZERO, Usage
from tests.oracle.validation import Event
from tests.oracle.windows import Window, day_window, hour_of, hour_window, period_of, period_window

FIVE_MINUTES = timedelta(minutes=5)


@dataclass(slots=True)
class Entry:
    """An event that stands, as its series counts it.

    `quantity` is in the metric's unit, weighted by its sampling where the aggregation weighs; `weight` is the number of
    events that it stands for; `distinct` is its value of the field that tells apart.
    """

    event: Event
    billing_date: date
    quantity: Decimal
    variance: Decimal
    weight: Decimal
    distinct: str | None


def grouped(entries: Iterable[Entry], key: Callable[[Entry], object]) -> dict[object, list[Entry]]:
    """The entries by what `key` says of each."""
    groups = defaultdict(list)
    for entry in entries:
        groups[key(entry)].append(entry)
    return groups


def hour_and_date(entry: Entry) -> tuple[datetime, date]:
    """The hour in UTC, and the date on the account's calendar: midnight may cut an hour in two."""
    return hour_of(entry.event.event_ts), entry.billing_date


# --- figures: (entries of the window, the window) → number ------------------------------------------------------------


def _total(entries: list[Entry], _) -> Decimal:
    return sum(entry.quantity for entry in entries)


def _smallest(entries: list[Entry], _) -> Decimal:
    return min(entry.quantity for entry in entries)


def _greatest(entries: list[Entry], _) -> Decimal:
    return max(entry.quantity for entry in entries)


def _mean(entries: list[Entry], _) -> Fraction:
    return Fraction(_total(entries, None)) / Fraction(sum(entry.weight for entry in entries))


def _latest(entries: list[Entry], _) -> Decimal:
    return max(entries, key=lambda entry: entry.event.order).quantity


def _count_distinct(entries: list[Entry], _) -> Decimal:
    return Decimal(len({entry.distinct for entry in entries} - {None}))


def _p95_per_5min(entries: list[Entry], window: Window) -> Decimal:
    """Over all windows of five minutes; those without usage count as zero."""
    used = sums_per(entries, lambda moment: (hour_of(moment), moment.minute // 5))
    return nearest_rank(sorted([*used, *[ZERO] * (window.length // FIVE_MINUTES - len(used))]), 95)


FIGURES = {
    "sum": _total,
    "count": _total,
    "min": _smallest,
    "max": _greatest,
    "avg": _mean,
    "latest": _latest,
    "count_distinct": _count_distinct,
    "p95_per_5min": _p95_per_5min,
}
WEIGHED = ("sum", "count", "avg", "p95_per_5min", "count_distinct")  # a sampled event stands for 1/rate events
COUNTED = ("count", "count_distinct")  # an event is one, whatever its quantity
SUMMED = ("sum", "count", "p95_per_5min")  # with figures per minute and a variance


def usage_of(aggregation: str, unit: str, entries: list[Entry], window: Window) -> Usage:
    """The figures of the events of one window."""
    quantity = round_half_away(FIGURES[aggregation](entries, window), QUANTITY_DIGITS)
    usage = Usage(unit, quantity, len(entries))
    if aggregation in SUMMED:
        usage.quantity_variance = sum(entry.variance for entry in entries)
        per_minute = sorted(sums_per(entries, lambda moment: moment.replace(second=0, microsecond=0)))
        usage.peak_per_minute = per_minute[-1]
        usage.p50_per_minute, usage.p95_per_minute, usage.p99_per_minute = (
            nearest_rank(per_minute, percent) for percent in (50, 95, 99)
        )
    return usage


def sums_per(entries: Iterable[Entry], part_of) -> list[Decimal]:
    """The sum of each part of time (as `part_of` tells them apart) in which there is an event."""
    sums: dict[object, Decimal] = defaultdict(Decimal)
    for entry in entries:
        sums[part_of(entry.event.event_ts)] += entry.quantity
    return list(sums.values())


def nearest_rank(values: list[Decimal], percent: int) -> Decimal:
    """The ⌈percent/100 × n⌉-th of n values that are in order."""
    return values[-(-percent * len(values) // 100) - 1]


class EventSeries:
    """The figures of one series whose windows are figures of their own events, for an account whose calendar is `zone`."""

    def __init__(self, aggregation: str, unit: str, entries: list[Entry], zone: tzinfo):
        self._aggregation, self._unit, self._entries, self._zone = aggregation, unit, entries, zone

    def hourly(self) -> Iterator[tuple[tuple[datetime, date], Usage]]:
        for (hour, day), events in grouped(self._entries, hour_and_date).items():
            yield (hour, day), self._usage(events, hour_window(hour, day, self._zone))

    def daily(self) -> Iterator[tuple[date, Usage]]:
        for day, events in grouped(self._entries, lambda entry: entry.billing_date).items():
            yield day, self._usage(events, day_window(day, self._zone))

    def monthly(self) -> Iterator[tuple[str, Usage]]:
        for period, events in grouped(self._entries, lambda entry: period_of(entry.billing_date)).items():
            yield period, self._usage(events, period_window(period, self._zone))

    def priced(self) -> Iterator[tuple[date, Usage]]:
        """Sums: each day's. Any other: the one figure of each period, on the date that stands for it."""
        if self._aggregation in ("sum", "count"):
            yield from self.daily()
            return
        for period, events in grouped(self._entries, lambda entry: period_of(entry.billing_date)).items():
            usage = self._usage(events, period_window(period, self._zone))
            yield DATED_ON[self._aggregation](events, usage.quantity), usage

    def _usage(self, events: list[Entry], window: Window) -> Usage:
        return usage_of(self._aggregation, self._unit, events, window)


def _first_that_reached(entries: list[Entry], quantity: Decimal) -> date:
    return min((entry.event.event_ts, entry.billing_date) for entry in entries if entry.quantity == quantity)[1]


def _date_of_latest(entries: list[Entry], _) -> date:
    return max(entries, key=lambda entry: entry.event.order).billing_date


def _last_date(entries: list[Entry], _) -> date:
    return max(entry.billing_date for entry in entries)


# Where a period has one figure: the date whose price applies to it.
DATED_ON = {
    "max": _first_that_reached,
    "min": _first_that_reached,
    "latest": _date_of_latest,
    "avg": _last_date,
    "count_distinct": _last_date,
    "p95_per_5min": _last_date,
}

"""Rule 10 for levels: events that set a level (time_weighted) or change it (weighted_sum), integrated over windows.

A level is carried over hours, days and months without events, until now. All is in whole numbers: billionths of the
unit times microseconds, so that nothing is rounded before the figure itself.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate

from tests.oracle.aggregating import Entry, grouped, hour_and_date
from tests.oracle.exact import round_half_away
from tests.oracle.usage import QUANTITY_DIGITS, Usage
from tests.oracle.windows import (
    Window,
    day_window,
    hour_window,
    hours_of,
    months,
    period_of,
    period_window,
)

LEVELS = ("time_weighted", "weighted_sum")
MICROSECOND = timedelta(microseconds=1)
BILLION = 10**QUANTITY_DIGITS


class Level:
    """The level of a series over time: the sum of one level per distinct value of its events. Zero before the first."""

    def __init__(self, aggregation: str, entries: list[Entry]):
        changes = defaultdict(int)
        for own in grouped(entries, lambda entry: entry.distinct).values():
            level = 0
            for entry in sorted(own, key=lambda entry: entry.event.order):
                quantity = int(entry.quantity * BILLION)
                changes[entry.event.event_ts] += quantity - (level if aggregation == "time_weighted" else 0)
                level = quantity
        self._times = sorted(changes)
        self._levels = list(accumulate(changes[moment] for moment in self._times))
        lengths = [(later - time) // MICROSECOND for time, later in zip(self._times, self._times[1:], strict=False)]
        areas = (level * length for level, length in zip(self._levels, lengths, strict=False))
        self._areas = [0, *accumulate(areas)]  # until each time

    def at(self, moment: datetime) -> int:
        """The level at this moment, in billionths."""
        step = bisect_right(self._times, moment)
        return self._levels[step - 1] if step else 0

    def _until(self, moment: datetime) -> int:
        step = bisect_right(self._times, moment)
        if not step:
            return 0
        return self._areas[step - 1] + self._levels[step - 1] * ((moment - self._times[step - 1]) // MICROSECOND)

    def integral(self, start: datetime, end: datetime) -> Fraction:
        """Level × seconds between two moments; nothing when the end is not after the start."""
        area = self._until(end) - self._until(start) if end > start else 0
        return Fraction(area, BILLION * (timedelta(seconds=1) // MICROSECOND))


class LevelSeries:
    """The figures of one series of levels, for an account whose calendar is `zone`, as of `now`."""

    def __init__(self, aggregation: str, unit: str, entries: list[Entry], zone: tzinfo, now: datetime):
        self.level = Level(aggregation, entries)
        self._aggregation, self._entries, self._zone, self._now = aggregation, entries, zone, now
        self._unit = f"{unit}-hour" if aggregation == "time_weighted" else unit

    def figure(self, period: str, start: datetime, end: datetime) -> Decimal:
        """Between two moments of the period, up to now: unit-hours, or the share of the period's average level."""
        by = 3600 if self._aggregation == "time_weighted" else _seconds(period_window(period, self._zone))
        return round_half_away(self.level.integral(start, min(end, self._now)) / by, QUANTITY_DIGITS)

    def hourly(self) -> Iterator[tuple[tuple[datetime, date], Usage]]:
        events = grouped(self._entries, hour_and_date)
        for day in self._days():
            for hour in hours_of(day, self._zone):
                window = hour_window(hour, day, self._zone)
                yield from self._row((hour, day), period_of(day), window, events.get((hour, day), []))

    def daily(self) -> Iterator[tuple[date, Usage]]:
        events = grouped(self._entries, lambda entry: entry.billing_date)
        for day in self._days():
            yield from self._row(day, period_of(day), day_window(day, self._zone), events.get(day, []))

    def monthly(self) -> Iterator[tuple[str, Usage]]:
        events = grouped(self._entries, lambda entry: period_of(entry.billing_date))
        days = self._days()
        for period in months(period_of(days[0]), period_of(days[-1])):
            yield from self._row(period, period, period_window(period, self._zone), events.get(period, []))

    def priced(self) -> Iterator[tuple[date, Usage]]:
        """Each day's share of its month: what the running figure, rounded, grows by. Shares sum up to the month."""
        for day, usage in self.daily():
            period, window = period_of(day), day_window(day, self._zone)
            start = period_window(period, self._zone).start
            share = self.figure(period, start, window.end) - self.figure(period, start, window.start)
            yield day, Usage(self._unit, share, usage.event_count)

    def _row(self, key, period: str, window: Window, events: list[Entry]) -> Iterator[tuple]:
        """A window has a row where there is an event, or a level before now."""
        if events or (window.start < self._now and self.level.at(window.start)):
            yield key, Usage(self._unit, self.figure(period, *window), len(events))

    def _days(self) -> list[date]:
        """From the first event's to the last one's or today, whichever is later."""
        dates = [entry.billing_date for entry in self._entries]
        today = (self._now - MICROSECOND).astimezone(self._zone).date()
        first, last = min(dates), max(*dates, today)
        return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _seconds(window: Window) -> int:
    return window.length // timedelta(seconds=1)

"""From landings to counted usage: batches, duplicates, attribution, held events, and figures per hour, day and month.

`History` reads every landing once. `State` is what is known after one of its batches: events and reference versions of
later batches do not exist for it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from tests.oracle.aggregating import COUNTED, WEIGHED, Entry, EventSeries
from tests.oracle.corrections import Corrections
from tests.oracle.exact import exact_arithmetic, round_half_away
from tests.oracle.levels import LEVELS, LevelSeries
from tests.oracle.reading import SourceFile, UnreadableFile, files_of, records_of
from tests.oracle.references import Books, in_force, read_reference, table_of
from tests.oracle.usage import QUANTITY_DIGITS, ZERO, DayKey, HourKey, MonthKey, Series, UnattributedKey, Usage
from tests.oracle.validation import KEY_FIELDS, Event, check_record, to_event
from tests.oracle.windows import ends_at, period_of

ONE = Decimal(1)
DISTINCT_ON = {"count_distinct": "event_id"}  # where the metric does not say what tells apart


@dataclass(frozen=True)
class Landing:
    """One call of `usage land`: a folder, a file or a list of them, and the time at which it happened (UTC)."""

    paths: object
    landed_at: datetime


@dataclass
class BatchCounts:
    """One batch as it stands now: records = rejected + duplicates + held + unattributed + attributed."""

    landed_at: datetime
    records: int = 0
    rejected: int = 0
    reject_reasons: Counter = field(default_factory=Counter)
    duplicates: int = 0
    conflicting: int = 0
    held: int = 0
    held_reasons: Counter = field(default_factory=Counter)
    unattributed: int = 0
    attributed: int = 0
    files: int = 0
    rejected_files: int = 0


class History:
    """All landings, read once: accepted events in landed order, duplicates marked, and every reference version."""

    def __init__(self, landings: list[Landing]):
        self.landed_at = [landing.landed_at for landing in landings]
        self.events: list[Event] = []
        self.batches: dict[int, BatchCounts] = {}
        self.batch_after_landing: list[int] = []
        self.versions: list[tuple[int, str, list[dict]]] = []  # (batch, table, rows), in landed order
        self.refused: list[tuple[int, str, list[str]]] = []  # (landing, file name, faults)
        self._known_content: set[tuple[str, str]] = set()
        self._first_payload: dict[tuple[str, str], int] = {}
        self._states: dict[tuple[int, datetime | None], State] = {}
        with exact_arithmetic():
            for landing in landings:
                self._land(landing)

    @property
    def last_batch(self) -> int:
        return len(self.batches)

    def state(self, batch_id: int, now: datetime | None = None) -> "State":
        """What was known after that batch; levels run until `now`, or to the end of the month in which it landed."""
        if (batch_id, now) not in self._states:
            with exact_arithmetic():
                self._states[batch_id, now] = State(self, batch_id, now)
        return self._states[batch_id, now]

    def books(self, batch_id: int) -> Books:
        """The reference tables in force after that batch: each table's latest version."""
        return Books({table: rows for batch, table, rows in self.versions if batch <= batch_id})

    def _land(self, landing: Landing) -> None:
        """One landing makes a batch only if it brings an event file or a reference version that was not there yet."""
        batch_id, dumps, brings_version = self.last_batch + 1, [], False
        for file in files_of(landing.paths):
            table = table_of(file)
            content = (table or "events", file.sha256)
            if content in self._known_content:
                continue
            if table is None:
                dumps.append(file)
            else:
                reference = read_reference(file)
                if reference.faults:
                    self.refused.append((len(self.batch_after_landing) + 1, file.name, reference.faults))
                    continue
                self.versions.append((batch_id, table, reference.rows))
                brings_version = True
            self._known_content.add(content)
        if dumps or brings_version:
            batch = self.batches[batch_id] = BatchCounts(landing.landed_at, files=len(dumps))
            metrics = self.books(batch_id).metrics
            allow_negative = {name: row["allow_negative"] for name, row in metrics.items()}
            for file_order, file in enumerate(dumps, start=1):
                self._land_dump(file, batch_id, file_order, batch, allow_negative)
        self.batch_after_landing.append(self.last_batch)

    def _land_dump(self, file: SourceFile, batch_id, file_order, batch: BatchCounts, allow_negative) -> None:
        accepted, reasons_of_rejected = [], []
        try:
            for row_number, fields in records_of(file):
                record, reasons = check_record(fields, batch.landed_at, allow_negative)
                if reasons:
                    reasons_of_rejected.append(reasons)
                else:
                    accepted.append(to_event(record, batch_id, file_order, row_number))
        except UnreadableFile:
            batch.rejected_files += 1
            return
        batch.records += len(accepted) + len(reasons_of_rejected)
        batch.rejected += len(reasons_of_rejected)
        for reasons in reasons_of_rejected:
            batch.reject_reasons.update(reasons)
        for event in accepted:
            self._count_once(event, batch)

    def _count_once(self, event: Event, batch: BatchCounts) -> None:
        """Rule 5: the first landed record of (producer, event_id) counts, over the whole history."""
        first = self._first_payload.get(event.identity)
        if first is None:
            self._first_payload[event.identity] = event.payload
            self.events.append(event)
        else:
            batch.duplicates += 1
            batch.conflicting += event.payload != first


class State:
    """Counted usage as known after one batch. Figures per hour, day and month; unattributed usage; counts per batch.

    Levels run until `now`; without it, to the end of the month in which the batch landed.
    """

    def __init__(self, history: History, batch_id: int, now: datetime | None = None):
        self.batch_id = batch_id
        self.books = history.books(batch_id)
        self.series: dict[Series, list[Entry]] = defaultdict(list)
        self.unattributed: dict[UnattributedKey, Usage] = {}
        self.held: Counter = Counter()  # (batch, reason) → events that stand
        self.batches = {
            number: replace(landed, held_reasons=Counter())
            for number, landed in history.batches.items()
            if number <= batch_id
        }
        self._now, self._landed_at = now, history.batches[batch_id].landed_at if batch_id else None
        self._factors: dict[tuple[str, str], Fraction | None] = {}
        known = [event for event in history.events if event.batch_id <= batch_id]
        self._corrections = Corrections(known, self._held_as_usage)
        for event in known:
            self._count(event)

    def _count(self, event: Event) -> None:
        """Held before unattributed: without a metric and its unit there is no quantity to attribute.

        A retraction shares the outcome of what it took back; only what stands brings usage.
        """
        batch, fate = self.batches[event.batch_id], self._corrections.outcome_of(event)
        reason = self._corrections.held_reason(fate)
        if reason:
            batch.held += 1
            batch.held_reasons[reason] += 1
            if self._corrections.stands(event):
                self.held[event.batch_id, reason] += 1
            return
        account_id = self._account_of(fate)
        if account_id is None:
            batch.unattributed += 1
        else:
            batch.attributed += 1
        if self._corrections.stands(event):
            self._add(event, account_id)

    def _add(self, event: Event, account_id: str | None) -> None:
        """The usage of an event that stands: to its account's windows, or to what is queued."""
        metric = self.books.metrics[event.metric]
        sku = event.sku or metric["default_sku"] or event.metric
        quantity, variance = self._weigh(event, metric)
        if account_id is None:
            key = UnattributedKey(*first_key(event), event.metric, sku, event.region)
            self.unattributed.setdefault(key, Usage(metric["unit"])).add(quantity, variance)
            return
        rate = event.sampling_rate
        weight = ONE if rate == 1 else round_half_away(1 / Fraction(rate), QUANTITY_DIGITS)
        told_apart_by = metric["distinct_on"] or DISTINCT_ON.get(metric["aggregation"])
        distinct = event.field(told_apart_by) if told_apart_by else None
        billing_date = event.event_ts.astimezone(self.books.zones[account_id]).date()
        entry = Entry(event, billing_date, quantity, variance, weight, distinct)
        self.series[Series(account_id, event.metric, sku, event.region)].append(entry)

    def _held_as_usage(self, event: Event) -> str | None:
        """Rule 7: the reason for which an event cannot be measured yet."""
        metric = self.books.metrics.get(event.metric)
        if metric is None:
            return "unregistered_metric"
        return "inconvertible_unit" if self._factor(event.unit, metric["unit"]) is None else None

    def _factor(self, unit: str, target: str) -> Fraction | None:
        """How many `target` one `unit` is; None when they do not convert."""
        if (unit, target) not in self._factors:
            one, other = self._in_base(unit), self._in_base(target)
            same = Fraction(1) if unit == target else None
            converts = one and other and one[0] == other[0]
            self._factors[unit, target] = one[1] / other[1] if converts else same
        return self._factors[unit, target]

    def _in_base(self, unit: str) -> tuple[str, Fraction] | None:
        row = self.books.units.get(unit)
        if row:
            return row["base_unit"], Fraction(row["factor"])
        is_base = any(other["base_unit"] == unit for other in self.books.units.values())
        return (unit, Fraction(1)) if is_base else None

    def _weigh(self, event: Event, metric: dict) -> tuple[Decimal, Decimal]:
        """Rule 11: quantity in the metric's unit × 1/rate, and variance q²(1−p)/p², each rounded once to 9 digits."""
        aggregation, factor = metric["aggregation"], self._factor(event.unit, metric["unit"])
        rate = event.sampling_rate if aggregation in WEIGHED else ONE
        counted = ONE if aggregation in COUNTED else event.quantity
        converts = aggregation not in COUNTED and factor != 1
        if rate == 1 and not converts:
            return counted, ZERO
        exact, share = Fraction(counted) * (factor if converts else 1), Fraction(rate)
        if rate == 1:
            return round_half_away(exact, QUANTITY_DIGITS), ZERO
        variance = exact * exact * (1 - share) / (share * share)
        return round_half_away(exact / share, QUANTITY_DIGITS), round_half_away(variance, QUANTITY_DIGITS)

    def _account_of(self, event: Event) -> str | None:
        """Rule 6: the first key, in the contract's order, that resolves to an existing account as of event_ts."""
        accounts = self.books.accounts
        if event.keys[0] in accounts:
            return event.keys[0]
        for key in zip(KEY_FIELDS[1:], event.keys[1:], strict=True):
            for row in self.books.keys.get(key, ()):
                if in_force(row, event.event_ts) and row["account_id"] in accounts:
                    return row["account_id"]
        return None

    # --- rules 9 and 10: the figures of the windows -------------------------------------------------------------------

    @cached_property
    def hourly(self) -> dict[HourKey, Usage]:
        """Usage per hour in UTC and date on the account's own calendar."""
        return {HourKey(*window, *series): usage for series, window, usage in self._windows("hourly")}

    @cached_property
    def daily(self) -> dict[DayKey, Usage]:
        """Usage per date."""
        return {DayKey(day, *series): usage for series, day, usage in self._windows("daily")}

    @cached_property
    def monthly(self) -> dict[MonthKey, Usage]:
        """Usage per billing period."""
        return {MonthKey(period, *series): usage for series, period, usage in self._windows("monthly")}

    def priced(self, period: str) -> dict[DayKey, Usage]:
        """The usage of a period that is priced, on the dates whose prices apply."""
        return self._priced.get(period, {})

    @cached_property
    def _priced(self) -> dict[str, dict[DayKey, Usage]]:
        by_period = defaultdict(dict)
        for series, day, usage in self._windows("priced"):
            by_period[period_of(day)][DayKey(day, *series)] = usage
        return by_period

    def _windows(self, grain: str) -> Iterator[tuple[Series, object, Usage]]:
        """(series, window, figures) of every window of this grain that has a row."""
        with exact_arithmetic():
            for series, entries in self.series.items():
                metric, zone = self.books.metrics[series.metric], self.books.zones[series.account_id]
                aggregation, unit = metric["aggregation"], metric["unit"]
                if aggregation in LEVELS:
                    figures = LevelSeries(aggregation, unit, entries, zone, self._levels_end(zone))
                else:
                    figures = EventSeries(aggregation, unit, entries, zone)
                for window, usage in getattr(figures, grain)():
                    yield series, window, usage

    def _levels_end(self, zone: tzinfo) -> datetime:
        return self._now or ends_at(period_of(self._landed_at.astimezone(zone).date()), zone)

    def periods(self) -> list[str]:
        """The months in which there is attributed usage, in order."""
        return sorted({key.billing_period for key in self.monthly})


def first_key(event: Event) -> tuple[str | None, str | None]:
    """The first attribution key that the event has, by the contract's precedence."""
    return next(((name, value) for name, value in zip(KEY_FIELDS, event.keys, strict=True) if value), (None, None))

"""From landings to counted usage: batches, duplicates, attribution, held events, and sums per hour, day and month.

`History` reads every landing once. `State` is what is known after one of its batches: events and reference versions of
later batches do not exist for it.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from tests.oracle.exact import exact_arithmetic, round_half_away
from tests.oracle.reading import SourceFile, UnreadableFile, files_of, records_of
from tests.oracle.references import Books, in_force, read_reference, table_of
from tests.oracle.validation import KEY_FIELDS, Event, check_record, to_event

ZERO = Decimal(0)
ONE = Decimal(1)
QUANTITY_DIGITS = 9


@dataclass(frozen=True)
class Landing:
    """One call of `usage land`: a folder, a file or a list of them, and the time at which it happened (UTC)."""

    paths: object
    landed_at: datetime


class HourKey(NamedTuple):
    usage_hour: datetime
    billing_date: date
    account_id: str
    metric: str
    sku: str
    region: str


class DayKey(NamedTuple):
    billing_date: date
    account_id: str
    metric: str
    sku: str
    region: str


class MonthKey(NamedTuple):
    billing_period: str
    account_id: str
    metric: str
    sku: str
    region: str


class UnattributedKey(NamedTuple):
    """The key that resolved to nobody: the first one that the event has (None, None: it has none)."""

    key_type: str | None
    key_value: str | None
    metric: str
    sku: str
    region: str


@dataclass
class Usage:
    """Sums over events. `quantity` in `unit` (the metric's), weighted by sampling.

    `minutes` gathers the sum per minute (of days and months) until `settle` turns it into the figures that are shown:
    the greatest sum of a minute, and the nearest-rank 95th percentile over the minutes with usage (the ⌈0.95 n⌉-th).
    """

    unit: str
    quantity: Decimal = ZERO
    event_count: int = 0
    quantity_variance: Decimal = ZERO
    peak_per_minute: Decimal | None = None
    p95_per_minute: Decimal | None = None
    minutes: dict[datetime, Decimal] = field(default_factory=dict)

    def add(self, quantity: Decimal, variance: Decimal, count: int = 1) -> None:
        self.quantity += quantity
        self.quantity_variance += variance
        self.event_count += count

    def settle(self) -> None:
        ordered = sorted(self.minutes.values())
        self.peak_per_minute = ordered[-1]
        self.p95_per_minute = ordered[math.ceil(Fraction(95 * len(ordered), 100)) - 1]
        self.minutes = {}


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
        self._states: dict[int, State] = {}
        with exact_arithmetic():
            for landing in landings:
                self._land(landing)

    @property
    def last_batch(self) -> int:
        return len(self.batches)

    def state(self, batch_id: int) -> "State":
        """What was known after that batch."""
        if batch_id not in self._states:
            with exact_arithmetic():
                self._states[batch_id] = State(self, batch_id)
        return self._states[batch_id]

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
        identity = (event.producer, event.event_id)
        first = self._first_payload.get(identity)
        if first is None:
            self._first_payload[identity] = event.payload
            self.events.append(event)
        else:
            batch.duplicates += 1
            batch.conflicting += event.payload != first


class State:
    """Counted usage as known after one batch. Sums per hour, day and month; unattributed usage; counts per batch."""

    def __init__(self, history: History, batch_id: int):
        self.batch_id = batch_id
        self.books = history.books(batch_id)
        self.hourly: dict[HourKey, Usage] = {}
        self.daily: dict[DayKey, Usage] = {}
        self.monthly: dict[MonthKey, Usage] = {}
        self.unattributed: dict[UnattributedKey, Usage] = {}
        self.batches = {
            number: BatchCounts(
                landed_at=landed.landed_at,
                records=landed.records,
                rejected=landed.rejected,
                reject_reasons=landed.reject_reasons,
                duplicates=landed.duplicates,
                conflicting=landed.conflicting,
                files=landed.files,
                rejected_files=landed.rejected_files,
            )
            for number, landed in history.batches.items()
            if number <= batch_id
        }
        self._factors: dict[tuple[str, str], Fraction | None] = {}
        for event in history.events:
            if event.batch_id <= batch_id:
                self._count(event)
        self._sum_up_months()

    def _count(self, event: Event) -> None:
        """Held before unattributed: without a metric and its unit there is no quantity to attribute."""
        batch = self.batches[event.batch_id]
        reason = self._held_reason(event)
        if reason:
            batch.held += 1
            batch.held_reasons[reason] += 1
            return
        metric = self.books.metrics[event.metric]
        sku = event.sku or metric["default_sku"] or event.metric
        quantity, variance = self._weigh(event, metric)
        account_id = self._account_of(event)
        if account_id is None:
            batch.unattributed += 1
            key_type, key_value = first_key(event)
            key = UnattributedKey(key_type, key_value, event.metric, sku, event.region)
            self.unattributed.setdefault(key, Usage(metric["unit"])).add(quantity, variance)
            return
        batch.attributed += 1
        self._post(event, account_id, sku, metric["unit"], quantity, variance)

    def _held_reason(self, event: Event) -> str | None:
        """Rule 7. Corrections are held until they are supported."""
        if event.is_correction:
            return "correction"
        metric = self.books.metrics.get(event.metric)
        if metric is None:
            return "unknown_metric"
        if metric["aggregation"] not in ("sum", "count"):
            raise NotImplementedError(f"the oracle does not know the aggregation of {event.metric}")
        return "unit" if self._factor(event.unit, metric["unit"]) is None else None

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
        factor, rate = self._factor(event.unit, metric["unit"]), event.sampling_rate
        counted = ONE if metric["aggregation"] == "count" else event.quantity
        converts = metric["aggregation"] == "sum" and factor != 1
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

    def _post(self, event: Event, account_id, sku, unit, quantity, variance) -> None:
        """Rule 9: the hour in UTC, the date on the account's own calendar."""
        billing_date = event.event_ts.astimezone(self.books.zones[account_id]).date()
        minute = event.event_ts.replace(second=0, microsecond=0)
        rest = (account_id, event.metric, sku, event.region)
        hour_key = HourKey(minute.replace(minute=0), billing_date, *rest)
        hour = self.hourly.get(hour_key)
        if hour is None:
            hour = self.hourly[hour_key] = Usage(unit)
        hour.add(quantity, variance)
        day_key = DayKey(billing_date, *rest)
        day = self.daily.get(day_key)
        if day is None:
            day = self.daily[day_key] = Usage(unit)
        day.add(quantity, variance)
        day.minutes[minute] = day.minutes.get(minute, ZERO) + quantity

    def _sum_up_months(self) -> None:
        for key, day in self.daily.items():
            month = self.monthly.setdefault(MonthKey(period_of(key.billing_date), *key[1:]), Usage(day.unit))
            month.add(day.quantity, day.quantity_variance, day.event_count)
            for minute, quantity in day.minutes.items():
                month.minutes[minute] = month.minutes.get(minute, ZERO) + quantity
            day.settle()
        for month in self.monthly.values():
            month.settle()

    def days_of(self, period: str) -> dict[DayKey, Usage]:
        """The usage per day of one billing period."""
        if not hasattr(self, "_by_period"):
            self._by_period = defaultdict(dict)
            for key, usage in self.daily.items():
                self._by_period[period_of(key.billing_date)][key] = usage
        return self._by_period.get(period, {})

    def periods(self) -> list[str]:
        """The months in which there is attributed usage, in order."""
        return sorted({key.billing_period for key in self.monthly})


def first_key(event: Event) -> tuple[str | None, str | None]:
    """The first attribution key that the event has, by the contract's precedence."""
    return next(((name, value) for name, value in zip(KEY_FIELDS, event.keys, strict=True) if value), (None, None))


def period_of(day: date) -> str:
    """The billing period (YYYY-MM) of a local date."""
    return f"{day.year:04d}-{day.month:02d}"

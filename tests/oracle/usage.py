"""Figures of usage, and the grains on which they stand."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

ZERO = Decimal(0)
QUANTITY_DIGITS = 9


class Series(NamedTuple):
    """What is aggregated together, window by window."""

    account_id: str
    metric: str
    sku: str
    region: str


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
    """The figures of one window (or queue): `quantity` in `unit`, as the metric's aggregation makes it of the events.

    The figures per minute are of the minutes with usage: greatest sum, and nearest-rank percentiles. Aggregations that
    do not sum have none.
    """

    unit: str
    quantity: Decimal = ZERO
    event_count: int = 0
    quantity_variance: Decimal = ZERO
    peak_per_minute: Decimal | None = None
    p50_per_minute: Decimal | None = None
    p95_per_minute: Decimal | None = None
    p99_per_minute: Decimal | None = None

    def add(self, quantity: Decimal, variance: Decimal, count: int = 1) -> None:
        self.quantity += quantity
        self.quantity_variance += variance
        self.event_count += count

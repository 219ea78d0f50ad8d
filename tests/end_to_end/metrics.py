"""The metrics of the small world of random histories, and events of those whose figures are not sums."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal


@dataclass(frozen=True)
class Metric:
    """A metric of the small world: its units (the first is its own) and the SKUs that may stand on its events."""

    name: str
    aggregation: str
    units: tuple[str, ...]
    default_sku: str | None
    other_skus: tuple[str, ...] = ()
    allow_negative: bool = False
    distinct_on: str | None = None

    @property
    def skus(self) -> tuple[str, ...]:
        return (self.default_sku or self.name, *self.other_skus)


METRICS = (
    Metric("api_requests", "sum", ("request", "kilorequest"), "api", ("api-premium",)),
    Metric("egress", "sum", ("GB", "byte", "MB", "GiB"), "transfer"),
    Metric("storage", "sum", ("GB", "GiB"), None),
    Metric("compute", "sum", ("hour", "ms", "second"), "compute-small", ("compute-large",)),
    Metric("invocations", "count", ("request",), "functions"),
    Metric("payments", "sum", ("currency_unit",), "payment-fees"),
    Metric("loyalty", "sum", ("point",), "internal", allow_negative=True),
)
LATE_METRIC = Metric("gpu", "sum", ("hour", "second"), "gpu-hours")
NEVER_REGISTERED = Metric("mystery", "sum", ("point",), None)
NOT_BILLABLE = ("internal",)

AGGREGATED = (
    Metric("connections", "max", ("request", "kilorequest"), "connections"),
    Metric("headroom", "min", ("GB", "MB", "GiB"), "headroom", allow_negative=True),
    Metric("latency", "avg", ("second", "ms"), "latency"),
    Metric("seats", "latest", ("point",), "seats-held"),
    Metric("active_users", "count_distinct", ("request",), "active-users", distinct_on="user"),
    Metric("keys_used", "count_distinct", ("request",), "keys-used", distinct_on="api_key"),
    Metric("jobs", "count_distinct", ("request", "kilorequest"), "jobs"),
    Metric("bandwidth", "p95_per_5min", ("GB", "MB"), "bandwidth"),
    Metric("memory", "time_weighted", ("GB", "GiB"), "memory", ("memory-fast",)),
    Metric("volumes", "time_weighted", ("GB", "MB"), "volumes", distinct_on="disk"),
    Metric("reserved", "weighted_sum", ("point",), "reserved", allow_negative=True),
    Metric("snapshots", "weighted_sum", ("GB", "GiB"), "snapshots", allow_negative=True, distinct_on="disk"),
)
BUSY = next(metric for metric in AGGREGATED if metric.aggregation == "p95_per_5min")
BUSY_WINDOWS = 620  # more than 5 % of a month's windows of five minutes
BUSY_SINCE = datetime.fromisoformat("2026-10-06T00:00:00Z")


def as_aggregated(dice: random.Random, record: dict, accounts: list[str]) -> dict:
    """An acceptable event turned into one of a metric that does not sum; often of few series, so that they have several."""
    metric = dice.choice(AGGREGATED)
    turned = {name: value for name, value in record.items() if name not in ("sku", "dims")}
    sign = "-" if metric.allow_negative and dice.random() < 0.4 and Decimal(record["quantity"]) else ""
    turned |= {
        "metric": metric.name,
        "unit": dice.choice(metric.units) if dice.random() < 0.97 else "furlong",
        "quantity": sign + record["quantity"].lstrip("-"),
    }
    if dice.random() < 0.75:
        turned.pop("region", None)
        turned["account_id"] = dice.choice(accounts[:2])
    if dice.random() < 0.15:
        turned["sku"] = dice.choice(metric.skus)
    if dice.random() < 0.8:
        turned["dims"] = {
            "user": dice.choice(["ann", "bob", 7, "7", True, ""]),
            "disk": dice.choice(["d1", "d2", None]),
        }
    if dice.random() < 0.3:
        turned["disk"] = dice.choice(["d1", "d3"])
    return turned


def make_busy_hours(dice: random.Random, account_id: str, producer: str) -> list[dict]:
    """Events of one series in so many windows of five minutes that the month's 95th percentile is not zero."""
    return [
        {
            "event_id": f"busy-{number:04d}",
            "producer": producer,
            "event_ts": (BUSY_SINCE + timedelta(seconds=300 * number + dice.randint(0, 299))).isoformat(),
            "metric": BUSY.name,
            "quantity": f"{dice.randint(1, 4000)}.{dice.randint(0, 99):02d}",
            "unit": BUSY.units[0],
            "account_id": account_id,
        }
        for number in range(BUSY_WINDOWS)
    ]

"""Draws the true usage of the company: who used what, when, where. No faults yet.

Only integers are drawn and only integer arithmetic follows, so that a seed gives the same bytes everywhere.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from raw_samples.generator import company
from raw_samples.generator.company import ACCOUNT, ACCOUNTS, DAY, HOUR, Account, instant
from raw_samples.generator.model import Event

# Events of two months per producer, with the product letter of company.ACCOUNTS that its customers have.
PRODUCERS = {
    "api-gateway": (128_000, "a"),
    "functions-runtime": (62_000, "f"),
    "storage-meter": (26_000, "s"),
    "kube-meter": (52_000, "k"),
    "compute-agent": (34_000, "c"),
}
ID_PREFIX = {
    "api-gateway": "gw",
    "functions-runtime": "fn",
    "storage-meter": "st",
    "kube-meter": "kb",
    "compute-agent": "vm",
}
HOUR_WEIGHT = (4, 3, 3, 3, 4, 5, 7, 9, 11, 12, 12, 12, 11, 12, 13, 13, 12, 11, 10, 9, 8, 7, 6, 5)  # of the UTC day
WEEKDAY_WEIGHT = (11, 12, 12, 12, 11, 7, 6)

# Instants on both sides of local midnights at month end, and around the changes of clocks: one page analyzed at each.
BOUNDARIES = {
    "acct_0007": (  # Auckland: clocks go forward on 2026-09-27 at 02:00 local, that day has 23 hours
        "2026-09-26T11:59:59Z",
        "2026-09-26T12:00:00Z",
        "2026-09-26T13:59:59Z",
        "2026-09-26T14:00:00Z",
        "2026-09-27T10:59:59Z",
        "2026-09-27T11:00:00Z",
        "2026-09-30T10:59:59Z",
        "2026-09-30T11:00:00Z",
        "2026-10-31T10:59:59Z",
        "2026-10-31T11:00:00Z",
    ),
    "acct_0001": (  # New York: clocks go back on 2026-11-01 at 02:00 local, that day has 25 hours
        "2026-09-01T04:00:00Z",
        "2026-10-01T03:59:59Z",
        "2026-10-01T04:00:00Z",
        "2026-11-01T03:59:59Z",
        "2026-11-01T04:00:00Z",
        "2026-11-01T05:30:00Z",
        "2026-11-01T06:30:00Z",
        "2026-11-01T07:30:00Z",
    ),
    "acct_0003": ("2026-09-30T18:29:59Z", "2026-09-30T18:30:00Z", "2026-10-31T18:29:59Z", "2026-10-31T18:30:00Z"),
    "acct_0004": (  # Berlin: clocks go back on 2026-10-25
        "2026-10-24T21:59:59Z",
        "2026-10-24T22:00:00Z",
        "2026-10-25T22:59:59Z",
        "2026-10-25T23:00:00Z",
    ),
    "acct_0008": ("2026-09-30T23:59:59Z", "2026-10-01T00:00:00Z", "2026-10-15T23:59:59Z", "2026-10-16T00:00:00Z"),
}


ZONES = {account.time_zone: ZoneInfo(account.time_zone) for account in ACCOUNTS}


def local_date(account: Account, at: int) -> str:
    """The account's calendar date at an instant, as ISO text."""
    return datetime.fromtimestamp(at // 1000, ZONES[account.time_zone]).date().isoformat()


def scaled(unsigned: int, digits: int) -> Decimal:
    """An integer as a decimal with that many fractional digits."""
    return Decimal(unsigned).scaleb(-digits)


def api_gateway(account: Account, at: int, u: list[int]) -> dict:
    """A request sample, pages analyzed, egress, or (rarely) an edge cache reading; known by API key."""
    keys = company.api_keys(account, at)
    fields = {"api_key": keys[u[1] % len(keys)], "region": region_of(account, u[2]), "sampling_rate": None}
    kind, size = u[0] % 1000, u[3]
    if kind < 560:
        sku = "api-health-check" if kind < 22 else "api-priority" if kind < 80 else None
        fields |= {
            "metric": "api_requests",
            "quantity": Decimal(1),
            "unit": "request",
            "sku": sku,
            "sampling_rate": account.rate,
        }
        status = ("200", "200", "200", "200", "201", "200", "404", "200", "429", "200")[u[4] % 10]
        endpoint = ("/v2/documents", "/v2/search", "/v2/batches", "/v2/models")[u[4] // 16 % 4]
        fields["dims"] = {"endpoint": endpoint, "status_code": int(status), "latency_ms": 8 + u[4] // 64 % 120}
    elif kind < 810:
        fields |= {"metric": "documents_analyzed", "quantity": Decimal(1 + size % 90), "unit": "page"}
    elif kind < 997:
        unit = ("GB", "GB", "GB", "MB", "byte")[u[4] % 5]
        amount = {
            "GB": scaled(1 + size % 9000, 3),
            "MB": scaled(1 + size % 90000, 1),
            "byte": Decimal(1 + size % 4_000_000) * 997,
        }
        fields |= {"metric": "api_egress", "quantity": amount[unit], "unit": unit}
        fields["sampling_rate"] = "0.5" if u[4] % 40 == 3 else None
    else:
        fields |= {"metric": company.LATE_METRIC, "quantity": Decimal(100 + size % 90_000), "unit": "request"}
    if u[4] % 11 == 0:
        fields["account_id"] = account.account_id
    return fields


def functions_runtime(account: Account, at: int, u: list[int]) -> dict:
    """Calls of a function or the time they took, in one of three units; known by account, sometimes by API key."""
    who = {"account_id": account.account_id} if u[1] % 4 else {"api_key": company.api_keys(account, at)[0]}
    region = None if u[2] % 97 == 0 else region_of(account, u[2])  # the runtime of old hosts names no region
    if u[0] % 2:
        size = 1 + u[3] % 5000
        return {
            **who,
            "metric": "function_invocations",
            "quantity": Decimal(size * 2),
            "unit": "invocation",
            "region": region,
        }
    unit = ("ms", "s", "s", "hour")[u[4] % 4]
    size = u[3]
    amount = {"ms": Decimal(1 + size % 3_000_000), "s": scaled(1 + size % 30_000, 1), "hour": scaled(1 + size % 900, 3)}
    return {**who, "metric": "function_duration", "quantity": amount[unit], "unit": unit, "region": region}


def storage_meter(account: Account, at: int, u: list[int]) -> dict:
    """An hourly reading of a bucket: stored volume in one of three units, or operations."""
    size = u[3]
    fields = {
        "account_id": account.account_id,
        "region": region_of(account, u[2]),
        "extra": {"bucket": f"{account.slug}-{u[1] % 3}"},
    }
    if u[0] % 4 == 0:
        thousands = u[4] % 2 == 0
        quantity = scaled(1 + size % 60_000, 3) if thousands else Decimal(1 + size % 60_000)
        return fields | {
            "metric": "storage_operations",
            "quantity": quantity,
            "unit": "thousand_operations" if thousands else "operation",
        }
    unit = ("GB_hour", "GB_hour", "TB_hour", "MB_hour")[u[4] % 4]
    amount = {
        "GB_hour": scaled(1000 + size % 90_000_000, 3),
        "TB_hour": scaled(1 + size % 90_000, 3),
        "MB_hour": Decimal(1000 + size % 90_000_000),
    }
    sku = "storage-archive" if u[4] % 9 == 0 else None
    return fields | {"metric": "storage_volume", "quantity": amount[unit], "unit": unit, "sku": sku}


def kube_meter(account: Account, at: int, u: list[int]) -> dict:
    """CPU or memory that a namespace of the shared cluster requested; known by namespace only."""
    names = company.namespaces(account)
    fields = {"namespace": names[u[1] % len(names)], "region": region_of(account, u[2])}
    fields["dims"] = {
        "node_pool": ("general", "general", "spot")[u[4] % 3],
        "job_name": ("web", "worker", "cron")[u[4] // 4 % 3],
    }
    if u[0] % 5 < 3:
        unit = ("core_hour", "core_hour", "core_s", "millicore_hour")[u[4] // 16 % 4]
        size = u[3]
        amount = {
            "core_hour": scaled(1 + size % 24_000, 3),
            "core_s": Decimal(1 + size % 86_400),
            "millicore_hour": Decimal(1 + size % 24_000),
        }
        return fields | {"metric": "kube_cpu", "quantity": amount[unit], "unit": unit}
    return fields | {"metric": "kube_memory", "quantity": scaled(1 + u[3] % 96_000, 3), "unit": "GB_hour"}


def compute_agent(account: Account, at: int, u: list[int]) -> dict:
    """The time an instance ran since its last reading, in one of three units; known by instance."""
    machines = company.instances(account)
    resource, sku = machines[(0, 0, 1, 1, 2, 2, 3, 0)[u[0] % 8] % len(machines)]
    unit = ("s", "s", "hour", "ms")[u[4] % 4]
    size = u[3]
    amount = {
        "s": Decimal(1 + size % 43_200),
        "hour": scaled(1 + size % 12_000, 3),
        "ms": Decimal(1 + size % 43_200_000),
    }
    who = {"resource_id": resource} if u[1] % 5 else {"resource_id": resource, "account_id": account.account_id}
    return {
        **who,
        "metric": "instance_time",
        "quantity": amount[unit],
        "unit": unit,
        "sku": sku,
        "region": region_of(account, u[2]),
    }


BUILDERS: dict[str, Callable[[Account, int, list[int]], dict]] = {
    "api-gateway": api_gateway,
    "functions-runtime": functions_runtime,
    "storage-meter": storage_meter,
    "kube-meter": kube_meter,
    "compute-agent": compute_agent,
}
EVERYBODY_STARTED = instant("2026-09-01T12:00:00Z")  # by then every account is in September
# When a producer notes usage (events lie on this grid, ms) and how long its collector waits before it ships a bundle.
GRID = {"api-gateway": 1, "functions-runtime": 100, "storage-meter": HOUR, "kube-meter": 60_000, "compute-agent": 1000}
SHIPPING = {
    "api-gateway": 20_000,
    "functions-runtime": 60_000,
    "storage-meter": 600_000,
    "kube-meter": 300_000,
    "compute-agent": 60_000,
}


def region_of(account: Account, draw: int) -> str:
    """The account's home region three times out of four, else one of the others."""
    home = {"Asia/Kolkata": 2, "Asia/Tokyo": 3, "Pacific/Auckland": 3, "Europe/Berlin": 1, "Europe/London": 1}
    number = home.get(account.time_zone, 0) if draw % 4 else draw // 4 % len(company.REGIONS)
    return company.REGIONS[number]


def draw_times(rng: np.random.Generator, count: int) -> np.ndarray:
    """Sorted instants of the whole history, weighted by hour of the day and day of the week."""
    hours = np.arange(company.HISTORY_START, company.HISTORY_END, HOUR, dtype=np.int64)
    weekdays = (hours // DAY + 3) % 7  # 1970-01-01 was a Thursday
    weights = np.array(HOUR_WEIGHT)[hours // HOUR % 24] * np.array(WEEKDAY_WEIGHT)[weekdays]
    edges = np.cumsum(weights)
    chosen = np.searchsorted(edges, rng.integers(0, edges[-1], count), side="right")
    return np.sort(hours[chosen] + rng.integers(0, HOUR, count))


def draw_producer(producer: str, seed: int) -> Iterator[Event]:
    """All true events of one producer in order of time, without ids."""
    count, product = PRODUCERS[producer]
    rng = np.random.Generator(np.random.PCG64([seed, list(PRODUCERS).index(producer)]))
    customers = [account for account in ACCOUNTS if product in account.products]
    times = draw_times(rng, count) // GRID[producer] * GRID[producer]
    edges = np.cumsum([account.weight for account in customers])
    who = np.searchsorted(edges, rng.integers(0, edges[-1], count), side="right").tolist()
    draws = rng.integers(0, 2**31, (count, 5)).tolist()
    build = BUILDERS[producer]
    for at, customer, u in zip(times.tolist(), who, draws, strict=True):
        account = customers[customer]
        if at < EVERYBODY_STARTED and local_date(account, at) < f"{company.FIRST_PERIOD}-01":
            continue  # the history starts with the account's own September
        yield Event(producer, "", at, shipped(producer, at), account=account.account_id, **build(account, at, u))


def shipped(producer: str, at: int) -> int:
    """When the collector got the event: the end of the bundle that was open when it happened, and a little more."""
    bundle = SHIPPING[producer]
    return (at // bundle + 1) * bundle + bundle // 4


def boundary_events() -> Iterator[Event]:
    """The events of BOUNDARIES."""
    for account_id, instants in BOUNDARIES.items():
        account = ACCOUNT[account_id]
        for text in instants:
            at = instant(text)
            yield Event(
                "api-gateway",
                "",
                at,
                shipped("api-gateway", at),
                "documents_analyzed",
                Decimal(1),
                "page",
                account_id=account_id,
                api_key=company.api_keys(account, at)[0],
                region=region_of(account, 1),
                account=account_id,
            )


def draw_all(seed: int) -> dict[str, list[Event]]:
    """All true events per producer in order of time, each with an id that counts up within the producer."""
    drawn = {producer: list(draw_producer(producer, seed)) for producer in PRODUCERS}
    drawn["api-gateway"] = sorted([*drawn["api-gateway"], *boundary_events()], key=lambda event: event.event_ts)
    for producer, events in drawn.items():
        for number, event in enumerate(events, start=1):
            day = datetime.fromtimestamp(event.event_ts // 1000, UTC)
            event.event_id = f"{ID_PREFIX[producer]}-{day:%y%m}-{number:06d}"
    return drawn

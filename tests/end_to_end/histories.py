"""Random small histories: reference tables and dumps with every kind of trouble, split over several landings, as files.

A history is made from a seed alone and is the same on every machine. It lies entirely in the past of its landings
(events in 2026-09 … 2026-11, landings from 2026-12-05 on), so that any order of dumps and any close is legal.

    history = make_history(seed=7, options=Options(events=300))
    landings = history.write(tmp_path)            # tests.oracle.Landing objects: a folder per landing, and its time
    result = compute(landings, history.closes)

Histories keep away from what the written rules leave open, unless an option asks for it.
"""

import csv
import gzip
import io
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from hypothesis import strategies as st

from tests.end_to_end.terms import change_terms, give_parents, make_terms
from tests.oracle import Close, Landing, compute

ALL_MODELS = ("per_unit", "graduated", "volume", "package", "percentage", "graduated_percentage", "flat")
FIRST_MODELS = ("per_unit", "graduated")
FIRST_EVENT = datetime(2026, 9, 24, tzinfo=UTC)
EVENT_DAYS = 42
FIRST_LANDING = datetime(2026, 12, 5, 2, tzinfo=UTC)
# Local midnights at month ends and DST changes of the zones below, where a wrong date shows.
CRITICAL_TIMES = (
    datetime(2026, 9, 26, 14, tzinfo=UTC),  # Auckland springs forward
    datetime(2026, 9, 30, 11, tzinfo=UTC),  # Auckland's October begins (UTC+13)
    datetime(2026, 9, 30, 18, 30, tzinfo=UTC),  # Kolkata's October begins
    datetime(2026, 10, 1, tzinfo=UTC),
    datetime(2026, 10, 1, 4, tzinfo=UTC),  # New York's October begins (UTC−4)
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Lisbon falls back
    datetime(2026, 11, 1, 4, tzinfo=UTC),  # New York's November begins (UTC−4)
    datetime(2026, 11, 1, 6, tzinfo=UTC),  # New York falls back: the hour from 01:00 to 02:00 comes twice
)
ZONES = (
    "UTC",
    "Asia/Kolkata",
    "America/New_York",
    "Pacific/Auckland",
    "Europe/Lisbon",
    "Asia/Kathmandu",
    "Pacific/Chatham",
)
CURRENCIES = ("USD", "EUR", "JPY", "KWD")
REGIONS = (None, "eu-west", "us-east", "ap-south")
REQUIRED_FIELDS = ("event_id", "producer", "event_ts", "metric", "quantity", "unit")
PRODUCERS = ("gateway", "functions", "meter", "agent")
UNITS = {
    "byte": ("byte", "1"),
    "MB": ("byte", "1000000"),
    "GB": ("byte", "1000000000"),
    "GiB": ("byte", "1073741824"),
    "ms": ("second", "0.001"),
    "second": ("second", "1"),
    "hour": ("second", "3600"),
    "request": ("request", "1"),
    "kilorequest": ("request", "1000"),
    "currency_unit": ("currency_unit", "1"),
    "point": ("point", "1"),
}


@dataclass(frozen=True)
class Metric:
    """A metric of the small world: its units (the first is its own) and the SKUs that may stand on its events."""

    name: str
    aggregation: str
    units: tuple[str, ...]
    default_sku: str | None
    other_skus: tuple[str, ...] = ()
    allow_negative: bool = False

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


@dataclass(frozen=True)
class Options:
    """What a history holds.

    closable: every billable usage has a price, the ledger agrees with the bill, and closes are planned.
    conflicts: some duplicates carry another payload (then the order of landings matters for figures).
    fees_without_usage: flat prices and first-tier fees, which are due without usage.
    reference_changes: later landings bring new versions: keys, a metric, prices, a time zone, agreed terms.
    terms: discounts, subscriptions, minimum commitments, credits and exchange rates.
    parents: some accounts stand on the invoice of another.
    """

    events: int = 200
    landings: int = 3
    models: tuple[str, ...] = ALL_MODELS
    closable: bool = False
    conflicts: bool = True
    fees_without_usage: bool = True
    reference_changes: bool = True
    terms: bool = True
    parents: bool = True


@dataclass
class RandomHistory:
    """Files per landing (path → content), the times of the landings, and the closes that are planned."""

    seed: int
    options: Options
    landings: list[dict[str, bytes]]
    closes: list[Close] = field(default_factory=list)

    @property
    def landed_at(self) -> list[datetime]:
        return [FIRST_LANDING + timedelta(days=number) for number in range(len(self.landings))]

    def write(self, root: Path) -> list[Landing]:
        """Writes one folder per landing under `root` and returns them in order."""
        folders = []
        for number, (files, landed_at) in enumerate(zip(self.landings, self.landed_at, strict=True), start=1):
            folder = Path(root) / f"landing-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            folders.append(Landing(folder, landed_at))
        return folders

    def shuffled(self, seed: int) -> "RandomHistory":
        """The same dumps landed in another order, reference tables where they were. Makes sense without conflicts."""
        dice = random.Random(seed)
        landings = [{name: data for name, data in files.items() if is_reference(name)} for files in self.landings]
        for files in self.landings:
            for name, content in files.items():
                if not is_reference(name):
                    dice.choice(landings).setdefault(name, content)
        return replace(self, landings=landings)


def is_reference(name: str) -> bool:
    """Whether the file of this name is a reference table of a history."""
    return name.startswith("reference/")


def make_history(seed: int, options: Options | None = None) -> RandomHistory:
    """The history of this seed."""
    options = options or Options()
    dice = random.Random(seed)
    world = make_world(dice, options)
    landings = [{f"reference/{name}": data for name, data in files.items()} for files in reference_files(world)]
    for number, records in enumerate(spread(dice, options, make_records(dice, world)), start=1):
        landings[number - 1].update(make_dumps(dice, number, records))
    if dice.random() < 0.5:  # a dump that comes a second time, unchanged: no-op
        name, content = dice.choice([item for item in landings[0].items() if not is_reference(item[0])])
        landings[-1][f"events/again-{Path(name).name}"] = content
    history = RandomHistory(seed, options, landings)
    return with_closes(history) if options.closable else history


def histories(options: Options | None = None) -> st.SearchStrategy[RandomHistory]:
    """Random histories as a hypothesis strategy; without options their sizes and kinds vary, too."""
    seeds = st.integers(min_value=0, max_value=2**32 - 1)
    if options is not None:
        return seeds.map(lambda seed: make_history(seed, options))
    varied = st.builds(
        Options,
        events=st.integers(100, 2000),
        landings=st.integers(1, 5),
        conflicts=st.booleans(),
        closable=st.booleans(),
    )
    return st.builds(make_history, seeds, varied)


# --- the world: reference tables --------------------------------------------------------------------------------------


@dataclass
class World:
    """The reference tables, one list of rows per table and landing (only what changed), and names that events use."""

    options: Options
    versions: list[dict[str, list[dict]]]
    accounts: list[str]
    keys: dict[str, list[str]]  # key_type → values, known and unknown


def make_world(dice: random.Random, options: Options) -> World:
    """Accounts with plans, prices and keys; with reference changes, later landings replace some tables."""
    accounts = [f"acct-{number}" for number in range(1, dice.randint(3, 6) + 1)]
    account_rows = [
        {
            "account_id": account_id,
            "account_name": account_id.upper(),
            "billing_timezone": dice.choice(ZONES),
            "currency_code": dice.choice(CURRENCIES),
        }
        for account_id in accounts
    ]
    if options.parents:
        give_parents(dice, account_rows)
    plans = sorted({f"{row['currency_code'].lower()}-{kind}" for row in account_rows for kind in ("basic", "pro")})
    prices, tiers = make_prices(dice, options, plans)
    first = {
        "units": [{"unit": unit, "base_unit": base, "factor": factor} for unit, (base, factor) in UNITS.items()],
        "metrics": [metric_row(metric) for metric in METRICS],
        "skus": sku_rows(),
        "accounts": account_rows,
        "attribution_keys": make_keys(dice, accounts),
        "account_plans": make_plans(dice, options, account_rows),
        "prices": prices,
        "price_tiers": tiers,
    }
    if options.terms:
        first |= make_terms(dice, account_rows, billable_skus())
    versions = [first] + [{} for _ in range(options.landings - 1)]
    keys = {"api_key": ["k1", "k2", "k3", "k4"], "namespace": ["ns-a", "ns-b"], "resource_id": ["r-1", "r-2", "r-3"]}
    if options.reference_changes and options.landings > 1:
        change_references(dice, options, versions, accounts)
    return World(options, versions, accounts, keys)


def metric_row(metric: Metric) -> dict:
    return {
        "metric": metric.name,
        "aggregation": metric.aggregation,
        "unit": metric.units[0],
        "allow_negative": str(metric.allow_negative).lower(),
        "default_sku": metric.default_sku,
    }


def sku_rows() -> list[dict]:
    return [
        {"sku": sku, "metric": metric.name, "sku_name": sku, "billable": str(sku not in NOT_BILLABLE).lower()}
        for metric in (*METRICS, LATE_METRIC)
        for sku in metric.skus
    ]


def billable_skus() -> list[str]:
    """The SKUs that usage may stand under and that cost something."""
    return sorted({sku for metric in (*METRICS, LATE_METRIC) for sku in metric.skus} - set(NOT_BILLABLE))


def make_keys(dice: random.Random, accounts: list[str]) -> list[dict]:
    """k1 moves at an instant, k2 moves with a gap between, k3 and the namespaces stay; k4, r-3 are unknown at first."""
    moved = FIRST_EVENT + timedelta(minutes=dice.randint(5 * 1440, 35 * 1440), seconds=dice.randint(0, 59))
    back = moved + timedelta(days=dice.randint(1, 3))
    pick = lambda: dice.choice(accounts)  # noqa: E731
    spans = [
        ("api_key", "k1", pick(), None, moved),
        ("api_key", "k1", pick(), moved, None),
        ("api_key", "k2", pick(), None, moved),
        ("api_key", "k2", pick(), back, None),
        ("api_key", "k3", pick(), None, None),
        ("namespace", "ns-a", pick(), None, None),
        ("namespace", "ns-b", pick(), moved, None),
        ("resource_id", "r-1", pick(), None, back),
        ("resource_id", "r-2", pick(), None, None),
    ]
    return [key_row(*span) for span in spans]


def key_row(key_type: str, key_value: str, account_id: str, start: datetime | None, end: datetime | None) -> dict:
    written = [moment and moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (start, end)]
    names = ("key_type", "key_value", "account_id", "valid_from", "valid_to")
    return dict(zip(names, (key_type, key_value, account_id, *written), strict=True))


def make_plans(dice: random.Random, options: Options, accounts: list[dict]) -> list[dict]:
    """One plan, a change of plan on some day, or a change there and back (its prices run on); where nothing must be
    closable, sometimes a gap or no plan at all."""
    rows = []
    for account in accounts:
        own = account["currency_code"].lower()
        change = date(2026, 9, 25) + timedelta(days=dice.randint(0, 38))
        back = str(change + timedelta(days=dice.randint(1, 14)))
        change = str(change)
        kinds = ["one", "change", "returns", "returns"]
        kind = dice.choice(kinds if options.closable else [*kinds, "ends", "none"])
        spans = {
            "one": [(f"{own}-basic", None, None)],
            "change": [(f"{own}-basic", None, change), (f"{own}-pro", change, None)],
            "returns": [(f"{own}-basic", None, change), (f"{own}-pro", change, back), (f"{own}-basic", back, None)],
            "ends": [(f"{own}-pro", None, change)],
            "none": [],
        }[kind]
        names = ("account_id", "plan_id", "valid_from", "valid_to")
        rows += [dict(zip(names, (account["account_id"], *span), strict=True)) for span in spans]
    return rows


def make_prices(dice: random.Random, options: Options, plans: list[str]) -> tuple[list[dict], list[dict]]:
    """For every plan and SKU a price for any region; some with a change, a dearer region, or a second currency."""
    prices, tiers = [], []
    models = [model for model in options.models if options.fees_without_usage or model != "flat"]

    def add(plan, sku, region, currency, model, start=None, end=None):
        price_id = f"price-{len(prices) + 1:03d}"
        prices.append(
            {
                "price_id": price_id,
                "plan_id": plan,
                "sku": sku,
                "region": region,
                "currency_code": currency,
                "model": model,
                "free_units": dice.choice([None, None, "0", "10", "0.5", "100.125"]) if model != "flat" else None,
                "package_size": dice.choice(["1", "10", "1000", "2.5"]) if model == "package" else None,
                "valid_from": start,
                "valid_to": end,
            }
        )
        tiers.extend(make_tiers(dice, options, price_id, model))

    for plan in plans:
        own = plan.split("-")[0].upper()
        for sku in billable_skus():
            if not options.closable and dice.random() < 0.1:
                continue  # nobody priced it
            model = dice.choice(models)
            change = str(date(2026, 9, 25) + timedelta(days=dice.randint(0, 38)))
            if model != "flat" and dice.random() < 0.3:
                add(plan, sku, "*", own, model, None, change)
                add(plan, sku, "*", own, dice.choice([kind for kind in models if kind != "flat"]), change, None)
            else:
                add(plan, sku, "*", own, model)
            if model != "flat" and dice.random() < 0.3:
                add(plan, sku, "eu-west", own, dice.choice([kind for kind in models if kind != "flat"]))
            if model != "flat" and dice.random() < 0.15:
                other = dice.choice([code for code in CURRENCIES if code != own])
                add(plan, sku, dice.choice(["*", "us-east"]), other, "per_unit")
    return prices, tiers


def make_tiers(dice: random.Random, options: Options, price_id: str, model: str) -> list[dict]:
    """The price's tiers: some end in a finite tier, some prices have nine digits, some tiers have a fee."""
    count = dice.randint(1, 4) if model in ("graduated", "volume", "graduated_percentage") else 1
    edges = sorted(dice.sample(["1", "10", "10.5", "100", "250.000000001", "1000", "5000"], count), key=Decimal)
    if dice.random() < 0.8 or count == 1:
        edges[-1] = None
    rows = []
    for number, up_to in enumerate(edges, start=1):
        has_fee = model in ("flat", "percentage") or (count > 1 and dice.random() < 0.4)
        if number == 1 and model.startswith("graduated") and not options.fees_without_usage:
            has_fee = False
        priced = "rate_percent" if "percentage" in model else "unit_price"
        row = {"price_id": price_id, "tier_number": str(number), "up_to": up_to, "unit_price": None, "flat_fee": None}
        row["rate_percent"] = None
        if model != "flat":
            row[priced] = dice.choice(["1", "0.1", "0.05", "0.005", "0.000000125", "2.345", "12.5", "0.333333333333"])
        row["flat_fee"] = dice.choice(["1", "4.995", "20"]) if has_fee else None
        rows.append(row)
    return rows


def change_references(dice: random.Random, options: Options, versions: list[dict], accounts: list[str]) -> None:
    """Later versions: the late metric is registered, an unknown key becomes known, and, if nothing is closed, more."""
    first = versions[0]
    later = lambda: versions[dice.randint(1, len(versions) - 1)]  # noqa: E731
    later()["metrics"] = [*first["metrics"], metric_row(LATE_METRIC)]
    later()["attribution_keys"] = [
        *first["attribution_keys"],
        key_row("api_key", "k4", dice.choice(accounts), None, None),
    ]
    if options.closable:
        return
    tiers = [dict(row) for row in first["price_tiers"]]
    dearer = dice.choice([row for row in tiers if row["unit_price"]])
    dearer["unit_price"] = "7.77"
    later()["price_tiers"] = tiers
    rows = [dict(row) for row in first["accounts"]]
    dice.choice(rows)["billing_timezone"] = dice.choice(ZONES)
    later()["accounts"] = rows
    later().update(change_terms(dice, first))


def reference_files(world: World) -> list[dict[str, bytes]]:
    """File name → content per landing."""
    return [{f"{table}.csv": csv_bytes(rows) for table, rows in tables.items()} for tables in world.versions]


# --- events -----------------------------------------------------------------------------------------------------------


def make_records(dice: random.Random, world: World) -> list[dict]:
    """Events with today's names: good ones, then duplicates, conflicting ones, bad ones and corrections among them."""
    options, records = world.options, []
    for number in range(options.events):
        record = make_event(dice, world, number)
        records.append(record)
        if dice.random() < 0.06:
            records.append(dict(record))
        if options.conflicts and dice.random() < 0.02:
            records.append({**record, "quantity": make_quantity(dice)})
        if dice.random() < 0.06:
            records.append(spoil(dice, make_event(dice, world, 100_000 + number)))
        if dice.random() < 0.01:
            corrected = {**make_event(dice, world, 200_000 + number), "producer": record["producer"]}
            records.append({**corrected, "corrects": record["event_id"], "correction": "retract"})
    return records


def make_event(dice: random.Random, world: World, number: int) -> dict:
    """One acceptable event: any metric, unit, SKU, key, region and sampling rate of the world."""
    metric = dice.choice((*METRICS, *METRICS, LATE_METRIC, NEVER_REGISTERED))
    unit = dice.choice(metric.units) if dice.random() < 0.97 else dice.choice(["furlong", "point", "ms"])
    event_ts = make_time(dice)
    record = {
        "event_id": f"e-{number:06d}",
        "producer": dice.choice(PRODUCERS),
        "event_ts": written_time(dice, event_ts),
        "metric": metric.name,
        "quantity": make_quantity(dice, negative=metric.allow_negative and dice.random() < 0.5),
        "unit": unit,
    }
    if dice.random() < 0.3:
        record["sku"] = dice.choice(metric.skus)
    if dice.random() < 0.2:
        record["sampling_rate"] = dice.choice(["0.1", "0.5", "0.25", "0.3", "1", "0.001", "0.7"])
    if dice.random() < 0.2:
        record["ingested_ts"] = (event_ts + timedelta(minutes=dice.randint(0, 90))).isoformat()
    if dice.random() < 0.3:
        record["dims"] = {"endpoint": dice.choice(["/a", "/b"]), "status_code": 200, "job": {"run_id": number % 7}}
    region = dice.choice(REGIONS)
    return record | make_key(dice, world) | ({"region": region} if region else {})


def make_key(dice: random.Random, world: World) -> dict:
    """An account, a key, several of them, one that nobody knows, or none."""
    kind = dice.choice(
        ["account"] * 8 + ["api_key"] * 6 + ["namespace", "resource_id"] * 2 + ["unknown", "both", "none"]
    )
    if kind == "account":
        return {"account_id": dice.choice(world.accounts)}
    if kind in world.keys:
        return {kind: dice.choice(world.keys[kind])}
    stranger = {"account_id": "nobody"}
    return {"unknown": stranger, "both": stranger | {"namespace": "ns-a", "api_key": "k9"}, "none": {}}[kind]


def make_time(dice: random.Random) -> datetime:
    if dice.random() < 0.3:
        return dice.choice(CRITICAL_TIMES) + timedelta(microseconds=dice.choice([-1, 0, 1, -600_000_000, 600_000_000]))
    return FIRST_EVENT + timedelta(milliseconds=dice.randint(0, EVENT_DAYS * 86_400_000))


def written_time(dice: random.Random, moment: datetime) -> str | int:
    """The same instant in one of the forms that the contract allows."""
    form = dice.choice(["z", "z", "offset", "space", "epoch", "nano"])
    if form == "epoch" and moment.microsecond % 1000 == 0:
        return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    if form == "offset":
        return moment.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    if form == "space":
        return moment.astimezone(timezone(timedelta(hours=-8))).isoformat(sep=" ")
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text + ("999Z" if form == "nano" else "Z")


def make_quantity(dice: random.Random, negative: bool = False) -> str:
    """A quantity as text: small, large, with up to nine digits, or zero."""
    whole = dice.choice([0, 1, dice.randint(0, 20), dice.randint(0, 2000), dice.randint(0, 2_000_000)])
    fraction = dice.choice(["", "", f".{dice.randint(0, 99):02d}", f".{dice.randint(0, 999_999_999):09d}"])
    text = f"{whole}{fraction}"
    return f"-{text}" if negative and Decimal(text) else text


def _without(name: str) -> Callable[[dict], dict]:
    return lambda record: {key: value for key, value in record.items() if key != name}


def _with(**changes) -> Callable[[dict], dict]:
    return lambda record: {**record, **changes}


SPOILERS: tuple[Callable[[dict], dict], ...] = (
    *(_without(name) for name in REQUIRED_FIELDS),
    _with(unit=""),
    _with(event_ts="yesterday"),
    _with(event_ts="2026-10-01T10:00:00"),
    _with(event_ts="2026-13-01T10:00:00Z"),
    _with(event_ts="1999-12-31T23:59:59.999999Z"),
    _with(event_ts="2026-10-02T00:00:00.000001Z", ingested_ts="2026-10-01T00:00:00Z"),
    _with(event_ts="2027-06-01T00:00:00Z", ingested_ts="not a time"),
    _with(quantity="many"),
    _with(quantity="NaN"),
    _with(quantity="0.0000000001"),
    _with(quantity="1" + "0" * 29),
    _with(metric="egress", quantity="-0.000000001"),
    _with(sampling_rate="0"),
    _with(sampling_rate="1.000000001"),
    _with(sampling_rate="often"),
    _with(event_id="x" * 257),
    _with(region="é" * 2049),
    _with(schema_version="3"),
    _with(quantity="-Infinity", sampling_rate="-1", unit=""),
)


def spoil(dice: random.Random, record: dict) -> dict:
    """The record with a fault that rejects it."""
    return dice.choice(SPOILERS)(record)


# --- files ------------------------------------------------------------------------------------------------------------


def spread(dice: random.Random, options: Options, records: list[dict]) -> list[list[dict]]:
    """The records over the landings, in random order."""
    landings = [[] for _ in range(options.landings)]
    for record in records:
        dice.choice(landings).append(record)
    for landed in landings:
        dice.shuffle(landed)
    return landings


def make_dumps(dice: random.Random, number: int, records: list[dict]) -> dict[str, bytes]:
    """One landing's dumps: a few files of several formats, perhaps one that cannot be read."""
    files, parts = {}, dice.randint(1, 4)
    for part in range(parts):
        kind, packed = dice.choice(["jsonl", "jsonl", "csv", "parquet"]), dice.choice(["", ".gz", ".zst"])
        packed = "" if kind == "parquet" else packed
        content = {"jsonl": jsonl_dump, "csv": csv_dump, "parquet": parquet_dump}[kind](dice, records[part::parts])
        files[f"events/day-{number}-{part}.{kind}{packed}"] = PACKERS[packed](content)
    if dice.random() < 0.3:
        whole = gzip.compress(b'{"event_id": "lost"}\n' * 50, mtime=0)
        files[f"events/torn-{number}.jsonl.gz"] = whole[: len(whole) // 2] + bytes([number])
    return files


PACKERS = {
    "": lambda content: content,
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".zst": lambda content: zstandard.ZstdCompressor(level=3).compress(content),
}
MALFORMED_LINES = (
    b'{"event_id": "cut',
    b"[1, 2, 3]",
    b'"text"',
    b'{"event_id": "twice", "event_id": "twice"}',
    b'{"event_id": "\xff\xfe"}',
    b"no json at all",
)


# What the older form can say; a record that says more is written in today's form.
SAID_IN_V1 = {*REQUIRED_FIELDS, "account_id", "api_key", "region", "schema_version"}


def jsonl_dump(dice: random.Random, records: list[dict]) -> bytes:
    """JSON lines, some in the older form; numbers as such or as text; malformed and blank lines among them."""
    lines = []
    is_v1 = dice.random() < 0.3
    for record in records:
        is_old = is_v1 and record.keys() <= SAID_IN_V1
        written = as_v1(record) if is_old else dict(record)
        text = json.dumps(written, ensure_ascii=dice.random() < 0.5)
        name = "value" if is_old else "quantity"
        if dice.random() < 0.6 and is_plain_number(written.get(name)):
            text = text.replace(f'"{name}": "{written[name]}"', f'"{name}": {written[name]}')
        lines.append(text.encode())
        if dice.random() < 0.01:
            lines.append(dice.choice(MALFORMED_LINES))
        if dice.random() < 0.01:
            lines.append(b"")
    return b"\n".join(lines) + dice.choice([b"", b"\n"])


def is_plain_number(text: str | None) -> bool:
    """Whether the text is a JSON number as it stands."""
    return bool(text) and text.lstrip("-").replace(".", "", 1).isdigit()


def as_v1(record: dict) -> dict:
    """The record in the older form."""
    names = {"event_ts": "timestamp", "producer": "source", "account_id": "account", "quantity": "value"}
    return {"schema_version": 1} | {names.get(name, name): value for name, value in record.items()}


def csv_dump(dice: random.Random, records: list[dict]) -> bytes:
    """CSV with all columns that occur; some rows have a cell too many."""
    rows = [{**record, "dims": json.dumps(record["dims"])} if "dims" in record else record for record in records]
    content = csv_bytes(rows, extra_columns=REQUIRED_FIELDS)
    if dice.random() < 0.3:
        content += b"one,cell\n"
    return content


def csv_bytes(rows: list[dict], extra_columns: tuple[str, ...] = ()) -> bytes:
    """Rows as CSV; the columns in the order in which they first occur."""
    columns = list(dict.fromkeys([*extra_columns, *(name for row in rows for name in row)]))
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue().encode()


def parquet_dump(dice: random.Random, records: list[dict]) -> bytes:
    """Parquet of text columns; where every value allows it, quantities as decimals."""
    names = list(dict.fromkeys(["event_id", "producer", *(name for row in records for name in row)]))
    columns = {}
    for name in names:
        values = [record.get(name) for record in records]
        columns[name] = pa.array(
            [json.dumps(value) if isinstance(value, dict) else value and str(value) for value in values], pa.string()
        )
    quantities = [record.get("quantity") for record in records]
    if dice.random() < 0.5 and all(text is None or fits_decimal(text) for text in quantities):
        columns["quantity"] = pa.array(
            [None if text is None else Decimal(text) for text in quantities], pa.decimal128(38, 9)
        )
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, compression="zstd")
    return target.getvalue()


def fits_decimal(text: str) -> bool:
    """Whether a Parquet DECIMAL(38,9) can hold it."""
    return is_plain_number(text) and len(text.partition(".")[0]) < 29 and len(text.partition(".")[2]) <= 9


# --- closes -----------------------------------------------------------------------------------------------------------


def with_closes(history: RandomHistory) -> RandomHistory:
    """The history with September closed after the first landing and October after the second, if it has so many.

    Before each close the finance ledger says what the bill says, so that the gates let it pass.
    """
    landings, closes = [dict(files) for files in history.landings], []
    for number, period in zip(range(1, len(landings) + 1), ("2026-09", "2026-10"), strict=False):
        closes.append(Close(period, after_landing=number))
        known = replace(history, landings=landings[:number])
        with tempfile.TemporaryDirectory() as folder:
            billed = compute(known.write(Path(folder)), closes)
        entries = [
            {
                "entry_id": "-".join(key),
                "billing_period": key.billing_period,
                "account_id": key.account_id,
                "sku": key.sku,
                "currency_code": key.currency_code,
                "amount": str(row.billed_amount),
                "posted_at": "2026-12-04T00:00:00Z",
            }
            for key, row in billed.ledger.items()
            if row.billed_amount and key.billing_period in billed.final_cutoffs
        ]
        if entries:
            landings[number - 1]["reference/finance_ledger.csv"] = csv_bytes(entries)
    return replace(history, landings=landings, closes=closes)

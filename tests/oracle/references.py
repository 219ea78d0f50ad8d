"""Reference tables: a file becomes typed rows, or the list of faults for which it is refused (contracts, 4)."""

import csv
import io
import zoneinfo
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath

import pyarrow.parquet as pq

from tests.oracle import currencies
from tests.oracle.exact import parse_decimal
from tests.oracle.reading import SourceFile, _as_written
from tests.oracle.validation import parse_time

AGGREGATIONS = ("sum", "count", "count_distinct", "max", "min", "avg", "latest", "weighted_sum", "time_weighted")
MODELS = ("flat", "per_unit", "graduated", "volume", "package", "percentage", "graduated_percentage")
KEY_TYPES = ("api_key", "namespace", "resource_id")
YES_NO_WORDS = {"true": True, "1": True, "false": False, "0": False}
TIME_ZONES = zoneinfo.available_timezones()

# --- kinds of value: text → value, None when it cannot be read --------------------------------------------------------


def _text(value: str) -> str:
    return value


def _one_of(allowed):
    return lambda value: value if value in allowed else None


def _number(fraction_digits: int):
    return lambda value: parse_decimal(value, fraction_digits, 38 - fraction_digits)


def _whole(value: str) -> int | None:
    number = parse_decimal(value, 0, 9)
    return None if number is None else int(number)


def _date(value) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else _day_of(value)
    except ValueError:
        return None


def _day_of(value) -> date | None:
    return value.date() if isinstance(value, datetime) else value if isinstance(value, date) else None


def _instant(value) -> datetime | None:
    """A time; without an offset it is UTC, a bare date is its midnight."""
    if not isinstance(value, str):
        return value if isinstance(value, datetime) else None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return parse_time(value)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _yes_or_no(value) -> bool | None:
    return value if isinstance(value, bool) else YES_NO_WORDS.get(value.lower())


def _not_negative(value: str) -> Decimal | None:
    number = parse_decimal(value, 12, 26)
    return None if number is None or number < 0 else number


def _percent(value: str) -> Decimal | None:
    """A share of a hundred, with at most nine fractional digits."""
    number = parse_decimal(value, 9, 29)
    return number if number is not None and 0 <= number <= 100 else None


TEXT, NUMBER, AMOUNT, PERCENT, FACTOR, WHOLE, DATE, INSTANT, YES_NO = (
    _text,
    _number(12),
    _not_negative,
    _percent,
    _number(18),
    _whole,
    _date,
    _instant,
    _yes_or_no,
)
CURRENCY, TIME_ZONE = _one_of(currencies.CODES), _one_of(TIME_ZONES)
REQUIRED = object()


@dataclass(frozen=True)
class Table:
    """A reference table: column → (kind, value when absent or REQUIRED), its key, and whether rows have validity."""

    columns: dict
    key: tuple[str, ...]
    has_validity: bool = False
    second_key: tuple[str, ...] = ()


def _columns(required: dict, optional: dict) -> dict:
    kinds = {name: (kind, REQUIRED) for name, kind in required.items()}
    return kinds | {name: kind if isinstance(kind, tuple) else (kind, None) for name, kind in optional.items()}


DATES = {"valid_from": DATE, "valid_to": DATE}
INSTANTS = {"valid_from": INSTANT, "valid_to": INSTANT}

TABLES = {
    "metrics": Table(
        _columns(
            {"metric": TEXT, "aggregation": _one_of(AGGREGATIONS), "unit": TEXT},
            {
                "description": TEXT,
                "distinct_on": TEXT,
                "allow_negative": (YES_NO, False),
                "default_sku": TEXT,
                "owner": TEXT,
            },
        ),
        ("metric",),
    ),
    "units": Table(_columns({"unit": TEXT, "base_unit": TEXT, "factor": FACTOR}, {}), ("unit",)),
    "skus": Table(
        _columns(
            {"sku": TEXT},
            {
                "metric": TEXT,
                "sku_name": TEXT,
                "service_name": TEXT,
                "service_category": TEXT,
                "billable": (YES_NO, True),
            },
        ),
        ("sku",),
    ),
    "accounts": Table(
        _columns(
            {"account_id": TEXT, "currency_code": CURRENCY},
            {
                "account_name": TEXT,
                "segment": TEXT,
                "parent_account_id": TEXT,
                "billing_timezone": (TIME_ZONE, "UTC"),
            },
        ),
        ("account_id",),
    ),
    "attribution_keys": Table(
        _columns({"key_type": _one_of(KEY_TYPES), "key_value": TEXT, "account_id": TEXT}, {"team": TEXT, **INSTANTS}),
        ("key_type", "key_value"),
        has_validity=True,
    ),
    "account_plans": Table(_columns({"account_id": TEXT, "plan_id": TEXT}, DATES), ("account_id",), has_validity=True),
    "prices": Table(
        _columns(
            {"price_id": TEXT, "plan_id": TEXT, "sku": TEXT, "currency_code": CURRENCY, "model": _one_of(MODELS)},
            {"region": (TEXT, "*"), "free_units": (NUMBER, Decimal(0)), "package_size": NUMBER, **DATES},
        ),
        ("plan_id", "sku", "region", "currency_code"),
        has_validity=True,
        second_key=("price_id",),
    ),
    "price_tiers": Table(
        _columns(
            {"price_id": TEXT, "tier_number": WHOLE},
            {"up_to": NUMBER, "unit_price": NUMBER, "flat_fee": NUMBER, "rate_percent": NUMBER},
        ),
        ("price_id", "tier_number"),
    ),
    "commitments": Table(
        _columns(
            {"commitment_id": TEXT, "account_id": TEXT, "currency_code": CURRENCY, "minimum_amount": AMOUNT}, DATES
        ),
        ("commitment_id",),
    ),
    "discounts": Table(
        _columns({"discount_id": TEXT, "account_id": TEXT, "percent": PERCENT}, {"sku": (TEXT, "*"), **DATES}),
        ("discount_id",),
    ),
    "credits": Table(
        _columns(
            {"credit_id": TEXT, "account_id": TEXT, "currency_code": CURRENCY, "amount": AMOUNT},
            {"priority": WHOLE, "granted_at": INSTANT, "expires_at": INSTANT},
        ),
        ("credit_id",),
    ),
    "subscriptions": Table(
        _columns(
            {"subscription_id": TEXT, "account_id": TEXT, "sku": TEXT, "currency_code": CURRENCY},
            {"monthly_amount": AMOUNT, **DATES},
        ),
        ("subscription_id",),
    ),
    "fx_rates": Table(
        _columns({"rate_date": DATE, "from_currency": CURRENCY, "to_currency": CURRENCY, "rate": NUMBER}, {}),
        ("rate_date", "from_currency", "to_currency"),
    ),
    "finance_ledger": Table(
        _columns(
            {
                "entry_id": TEXT,
                "billing_period": TEXT,
                "account_id": TEXT,
                "sku": TEXT,
                "currency_code": CURRENCY,
                "amount": NUMBER,
            },
            {"posted_at": INSTANT},
        ),
        ("entry_id",),
    ),
    "gate_waivers": Table(
        _columns(
            {"gate": TEXT, "billing_period": TEXT, "scope": TEXT},
            {"reason": TEXT, "approved_by": TEXT, "expires_at": INSTANT},
        ),
        ("gate", "billing_period", "scope"),
    ),
}


@dataclass
class ReferenceFile:
    """What a reference file says: typed rows, or (when `faults` is not empty) nothing."""

    table: str
    rows: list[dict] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def table_of(file: SourceFile) -> str | None:
    """The table that a file of this name brings, or None: then it is an event file."""
    name = PurePosixPath(file.name)
    return name.stem if name.suffix in (".csv", ".parquet") and name.stem in TABLES else None


def read_reference(file: SourceFile) -> ReferenceFile:
    """The file's typed rows, or its faults."""
    result = ReferenceFile(table_of(file))
    table = TABLES[result.table]
    try:
        header, raw_rows = _raw_rows(file)
    except Exception as error:  # whatever a broken file makes a reader raise
        result.faults.append(f"unreadable: {error}")
        return result
    result.faults += [
        f"missing column {name}"
        for name, (_, default) in table.columns.items()
        if default is REQUIRED and name not in header
    ]
    if not result.faults:
        result.rows = [_typed(raw, table, number, result.faults) for number, raw in enumerate(raw_rows, start=1)]
    if not result.faults:
        result.faults += _faults_between_rows(result.table, table, result.rows)
    if result.faults:
        result.rows = []
    return result


def _raw_rows(file: SourceFile) -> tuple[list[str], list[dict]]:
    if file.name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(file.content))
        return table.column_names, [{k: _as_written(v) for k, v in row.items()} for row in table.to_pylist()]
    rows = [row for row in csv.reader(io.StringIO(file.content.decode("utf-8-sig"), newline="")) if row]
    header, body = rows[0], rows[1:]
    return header, [dict(zip(header, row, strict=True)) for row in body]


def _typed(raw: dict, table: Table, number: int, faults: list[str]) -> dict:
    row = {}
    for name, (kind, default) in table.columns.items():
        written = raw.get(name)
        if written is None or written == "":
            row[name] = default
            if default is REQUIRED:
                faults.append(f"row {number}: {name} is empty")
            continue
        row[name] = kind(written)
        if row[name] is None:
            faults.append(f"row {number}: {name} cannot be {written!r}")
    return row


def _faults_between_rows(name: str, table: Table, rows: list[dict]) -> list[str]:
    faults = []
    for key in filter(None, (None if table.has_validity else table.key, table.second_key)):
        seen = set()
        for number, row in enumerate(rows, start=1):
            value = tuple(row[column] for column in key)
            if value in seen:
                faults.append(f"row {number}: {key} {value} occurs twice")
            seen.add(value)
    if "valid_from" in table.columns:
        faults += _validity_faults(table, rows)
    if name == "price_tiers":
        faults += _tier_faults(rows)
    if name == "accounts":
        faults += _cycle_faults(rows)
    if name == "units":
        faults += [f"row {number}: factor <= 0" for number, row in enumerate(rows, start=1) if row["factor"] <= 0]
    return faults


def _validity_faults(table: Table, rows: list[dict]) -> list[str]:
    faults, by_key = [], {}
    for number, row in enumerate(rows, start=1):
        start, end = row["valid_from"], row["valid_to"]
        if start is not None and end is not None and start >= end:
            faults.append(f"row {number}: valid_from is not before valid_to")
        if table.has_validity:
            by_key.setdefault(tuple(row[column] for column in table.key), []).append(row)
    for key, same in by_key.items():
        for at, row in enumerate(same):
            if any(_overlap(row, other) for other in same[at + 1 :]):
                faults.append(f"{key}: validity overlaps")
    return faults


def _overlap(one: dict, other: dict) -> bool:
    return all(
        a["valid_from"] is None or b["valid_to"] is None or a["valid_from"] < b["valid_to"]
        for a, b in ((one, other), (other, one))
    )


def _tier_faults(rows: list[dict]) -> list[str]:
    faults, by_price = [], {}
    for row in rows:
        by_price.setdefault(row["price_id"], []).append(row)
    for price_id, tiers in by_price.items():
        tiers = sorted(tiers, key=lambda tier: tier["tier_number"])
        if [tier["tier_number"] for tier in tiers] != list(range(1, len(tiers) + 1)):
            faults.append(f"{price_id}: tiers are not numbered 1, 2, 3 …")
        edges = [tier["up_to"] for tier in tiers]
        inner = edges[:-1]
        if None in inner or any(low >= high for low, high in zip(inner, edges[1:], strict=True) if high is not None):
            faults.append(f"{price_id}: tiers are out of order")
    return faults


def _cycle_faults(rows: list[dict]) -> list[str]:
    """Accounts that are their own ancestor. A parent that does not exist ends the walk; it is no fault."""
    parents, faults = {row["account_id"]: row["parent_account_id"] for row in rows}, []
    for account_id in parents:
        seen, above = set(), parents[account_id]
        while above in parents and above not in seen:
            seen.add(above)
            above = parents[above]
        if account_id in seen:
            faults.append(f"{account_id}: is its own ancestor")
    return faults


def in_force(row: dict, moment) -> bool:
    """Whether the row's half-open validity holds at `moment` (an instant or a date, as the column is)."""
    start, end = row["valid_from"], row["valid_to"]
    return (start is None or start <= moment) and (end is None or moment < end)


class Books:
    """The reference tables as they stand after some batch, indexed for look-up."""

    def __init__(self, versions: dict[str, list[dict]]):
        """`versions`: table → rows of its version in force; a table that never came is empty."""
        rows = {name: versions.get(name, []) for name in TABLES}
        self.metrics = {row["metric"]: row for row in rows["metrics"]}
        self.units = {row["unit"]: row for row in rows["units"]}
        self.skus = {row["sku"]: row for row in rows["skus"]}
        self.accounts = {row["account_id"]: row for row in rows["accounts"]}
        self.zones = {name: zoneinfo.ZoneInfo(row["billing_timezone"]) for name, row in self.accounts.items()}
        self.keys = _grouped(rows["attribution_keys"], "key_type", "key_value")
        self.plans = _grouped(rows["account_plans"], "account_id")
        self.prices = _grouped(rows["prices"], "plan_id", "sku")
        self.prices_of_plan = _grouped(rows["prices"], "plan_id")
        self.tiers = _grouped(sorted(rows["price_tiers"], key=lambda tier: tier["tier_number"]), "price_id")
        self.discounts = _grouped(rows["discounts"], "account_id")
        self.subscriptions = rows["subscriptions"]
        self.commitments = rows["commitments"]
        self.credits = rows["credits"]
        self.fx_rates = _grouped(rows["fx_rates"], "from_currency", "to_currency")
        self.ledger = rows["finance_ledger"]

    def is_billable(self, sku: str) -> bool:
        """Usage of an unlisted SKU is billable: it must be priced or it blocks the close."""
        return self.skus[sku]["billable"] if sku in self.skus else True

    def plan_on(self, account_id: str, day: date) -> str | None:
        """The plan that the account holds on that day."""
        row = self.plan_row_on(account_id, day)
        return row and row["plan_id"]

    def plan_row_on(self, account_id: str, day: date) -> dict | None:
        """The row of account_plans that is in force for the account on that day."""
        return next((row for row in self.plans.get((account_id,), ()) if in_force(row, day)), None)


def _grouped(rows: list[dict], *columns: str) -> dict[tuple, list[dict]]:
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups

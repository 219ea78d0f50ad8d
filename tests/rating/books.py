"""Lands reference tables and events in a home of their own, builds the marts once, and reads what was billed."""

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestration import landing, warehouse
from orchestration.landing.reference_tables import TABLES
from orchestration.settings import Settings, load_settings

Row = dict[str, Any]

EVENT_COLUMNS = ("event_id", "producer", "event_ts", "metric", "quantity", "unit", "sku", "account_id", "region")
RELATIONS = ("invoice_lines", "invoice_line_tiers", "invoices", "unpriced_usage")


@dataclass
class Books:
    """What lands: rows per reference table, and usage events. Every event of one home has an id of its own."""

    tables: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    events: list[Row] = field(default_factory=list)

    def add(self, table: str, **row: Any) -> None:
        """A row of a reference table; what is not given is empty."""
        unknown = set(row) - {column.name for column in TABLES[table].columns}
        assert not unknown, f"{table} has no column {unknown}"
        self.tables[table].append(row)

    def add_metric(self, metric: str, sku: str, unit: str = "unit", allow_negative: bool = False) -> None:
        """A metric that sums, with its unit and its only SKU."""
        self.add("metrics", metric=metric, aggregation="sum", unit=unit, allow_negative=allow_negative, default_sku=sku)
        self.add("skus", sku=sku, metric=metric, billable=True)
        if unit not in [row["unit"] for row in self.tables["units"]]:
            self.add("units", unit=unit, base_unit=unit, factor=1)

    def add_price(self, price_id: str, tiers: tuple, **price: Any) -> None:
        """A price and its tiers (notation.Tier)."""
        self.add("prices", price_id=price_id, **price)
        for tier_number, tier in enumerate(tiers, 1):
            self.add(
                "price_tiers", price_id=price_id, tier_number=tier_number, up_to=tier.up_to, unit_price=tier.unit_price,
                flat_fee=tier.flat_fee, rate_percent=tier.rate_percent,
            )  # fmt: skip

    def add_event(self, **event: Any) -> None:
        """A usage event; its id is its place in the dump."""
        self.events.append({"event_id": f"event-{len(self.events) + 1}", "producer": "rating-cases", **event})


@dataclass(frozen=True)
class Billed:
    """The billing marts of a built home, by account."""

    settings: Settings
    relations: dict[str, dict[str, list[Row]]]

    def of(self, account_id: str, relation: str, **conditions: Any) -> list[Row]:
        """The rows of an account in a relation that have these values."""
        rows = self.relations[relation].get(account_id, [])
        return [row for row in rows if all(row[name] == value for name, value in conditions.items())]


def bill(home: Path, books: Books, landed_at: datetime, as_of: datetime) -> Billed:
    """Land the books through the inbox as one batch, build every model once, and read the billing marts."""
    settings = load_settings(home)
    for table, rows in books.tables.items():
        _write(settings.inbox / "reference" / f"{table}.csv", [column.name for column in TABLES[table].columns], rows)
    _write(settings.inbox / "events" / "events.csv", EVENT_COLUMNS, books.events)
    result = landing.land(settings, as_of=landed_at)
    assert not result.reject_reasons, result.reject_reasons
    assert all(reference.status == "landed" for reference in result.references), result.references
    warehouse.build(settings, as_of, test=False)
    return Billed(settings, _read(settings))


def _write(path: Path, columns: Any, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({name: _text(value) for name, value in row.items()} for row in rows)


def _text(value: Any) -> str:
    """A cell: decimals written out in full, truth in lower case, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:f}" if hasattr(value, "as_tuple") else str(value)


def _read(settings: Settings) -> dict[str, dict[str, list[Row]]]:
    with warehouse.read(settings) as connection:
        relations = {name: warehouse.rows(connection, f"from billing.{name}") for name in RELATIONS}
    account_of = {line["line_id"]: line["account_id"] for line in relations["invoice_lines"]}
    grouped: dict[str, dict[str, list[Row]]] = {name: defaultdict(list) for name in RELATIONS}
    for name, rows in relations.items():
        for row in rows:
            grouped[name][row["account_id"] if "account_id" in row else account_of[row["line_id"]]].append(row)
    return grouped

"""Helpers of tests that work on whole homes: run a history through the house, copy a home, and take the fingerprint of what came out."""

import hashlib
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from orchestration import landing, warehouse
from orchestration.settings import Settings
from tests.oracle import Landing

# The marts that everything rests on; their rows are the state of a house.
MARTS = (
    "usage.usage_hourly",
    "usage.usage_daily",
    "usage.usage_monthly",
    "usage.unattributed_usage",
    "usage.late_usage",
    "usage.held_usage",
    "billing.invoice_lines",
    "billing.invoice_line_tiers",
    "billing.invoices",
    "billing.line_allocations",
    "billing.credit_balances",
    "billing.unpriced_usage",
    "finance.ledger_reconciliation",
    "operations.event_conservation",
)


def last_build(landings: list[Landing]) -> datetime:
    """When the last build of a history runs: a day after its last landing."""
    return landings[-1].landed_at + timedelta(days=1)


def run(settings: Settings, landings: list[Landing], build_each: bool = True) -> None:
    """Land the folders in order; build after each landing but the last, or not; and at the end, with all data tests."""
    for place in landings:
        landing.land(
            settings, [Path(place.paths)] if not isinstance(place.paths, list) else place.paths, place.landed_at
        )
        if build_each and place is not landings[-1]:
            warehouse.build(settings, place.landed_at, test=False)
    warehouse.build(settings, last_build(landings))


def copied(original: Settings, home: Path) -> Settings:
    """A home that another one is copied to, with the modes and times of its files: what is done to it, the other does not know."""
    shutil.copytree(original.home, home)
    return replace(original, home=home)


def state(settings: Settings) -> dict[str, list[tuple]]:
    """Every mart's rows, sorted: equal states are equal figures."""
    with warehouse.read(settings) as connection:
        return {mart: sorted(connection.execute(f"from {mart}").fetchall(), key=repr) for mart in MARTS}


def rows(database: Path, query: str) -> list[tuple]:
    """The rows of a query on a database file."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(query).fetchall()


def fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

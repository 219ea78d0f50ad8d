"""Makes `tests.oracle` importable from here, and gives the tests a small world: reference tables plus landings."""

import csv
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.oracle import Close, Landing, Result, compute

TABLES = {
    "units": [("unit", "base_unit", "factor"), ("request", "request", "1"), ("GB", "byte", "1000000000")],
    "metrics": [
        ("metric", "aggregation", "unit", "allow_negative", "default_sku"),
        ("calls", "sum", "request", "false", "api"),
        ("starts", "count", "request", "false", "starts"),
        ("points", "sum", "request", "true", "points"),
    ],
    "skus": [("sku", "metric", "billable"), ("api", "calls", "true"), ("points", "points", "false")],
    "accounts": [
        ("account_id", "account_name", "billing_timezone", "currency_code"),
        ("acme", "Acme", "UTC", "USD"),
        ("kiwi", "Kiwi", "Pacific/Auckland", "USD"),
        ("york", "York", "America/New_York", "USD"),
        ("asha", "Asha", "Asia/Kolkata", "USD"),
    ],
    "account_plans": [("account_id", "plan_id", "valid_from", "valid_to"), ("acme", "basic", "", "")],
    "prices": [
        (
            "price_id",
            "plan_id",
            "sku",
            "region",
            "currency_code",
            "model",
            "free_units",
            "package_size",
            "valid_from",
            "valid_to",
        ),
        ("p1", "basic", "api", "*", "USD", "per_unit", "", "", "", ""),
    ],
    "price_tiers": [
        ("price_id", "tier_number", "up_to", "unit_price", "flat_fee", "rate_percent"),
        ("p1", "1", "", "0.10", "", ""),
    ],
}


class House:
    """Landings written one after the other; `result` computes everything after the last one."""

    def __init__(self, root: Path):
        self.root = root
        self.landings: list[Landing] = []
        self.closes: list[Close] = []
        self.events = 0

    def land(self, *events: dict, landed_at: datetime | None = None, files: dict | None = None, **tables) -> None:
        """One landing of these events (defaults filled in), reference tables (with header) and other files."""
        number = len(self.landings) + 1
        folder = self.root / f"landing-{number}"
        (folder / "reference").mkdir(parents=True)
        if number == 1:
            tables = TABLES | tables
        for name, rows in tables.items():
            with (folder / "reference" / f"{name}.csv").open("w", newline="") as target:
                csv.writer(target).writerows(rows)
        if events:
            lines = [json.dumps(self.event(**event)) for event in events]
            (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        self.landings.append(Landing(folder, landed_at or datetime(2026, 12, 1, tzinfo=UTC) + timedelta(days=number)))

    def event(self, **fields) -> dict:
        """An event of account acme on 2026-10-10, unless the fields say otherwise; a field set to None is left out."""
        self.events += 1
        event = {
            "event_id": f"e{self.events}",
            "producer": "test",
            "event_ts": "2026-10-10T12:00:00Z",
            "metric": "calls",
            "quantity": "1",
            "unit": "request",
            "account_id": "acme",
        } | fields
        return {name: value for name, value in event.items() if value is not None}

    def close(self, period: str) -> None:
        """Closes the period after the latest landing."""
        self.closes.append(Close(period, len(self.landings)))

    @property
    def result(self) -> Result:
        return compute(self.landings, self.closes)

    def result_as_of(self, moment: datetime) -> Result:
        """As `result`, with the periods that have not ended at this moment still running."""
        return compute(self.landings, self.closes, as_of=moment)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """An empty house; its first landing brings the small reference tables."""
    return House(tmp_path)


@pytest.fixture
def tables() -> dict:
    """The small world's reference tables, header first."""
    return dict(TABLES)

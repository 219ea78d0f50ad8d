"""A small home for tests of figures: reference tables and events as rows, landed batch by batch, built as of a given time."""

import json
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration import landing, warehouse
from orchestration.landing.reference_tables import TABLES
from orchestration.settings import Settings
from tests.end_to_end.histories import csv_bytes
from tests.end_to_end.house import copied

Row = dict[str, Any]


def instant(text: str) -> datetime:
    """A UTC instant, written without its zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class SmallHouse:
    """Its batches, in order; every event gets an id of its own unless it has one."""

    def __init__(self, folder: Path, **tables: list[Row]):
        self.folder = folder
        self.settings = Settings(folder / "home", "1GB", 2)
        self.tables = tables
        self.landings = 0
        self.events = 0

    def copied(self, folder: Path) -> "SmallHouse":
        """Another house with the same home, in a folder of its own: what it does next, this one does not know."""
        other = copy(self)
        other.folder, other.settings = folder, copied(self.settings, folder / "home")
        return other

    def land(self, landed_at: str, *events: Row, **tables: list[Row]) -> None:
        """A batch of events, with the reference tables that are new or changed (all of them the first time)."""
        self.landings += 1
        place = self.folder / f"landing-{self.landings}"
        place.mkdir(parents=True)
        for table, rows in (tables if self.landings > 1 else self.tables | tables).items():
            columns = [column.name for column in TABLES[table].columns]
            (place / f"{table}.csv").write_bytes(csv_bytes([{name: row.get(name) for name in columns} for row in rows]))
        (place / "events.jsonl").write_text("".join(json.dumps(self._event(event)) + "\n" for event in events))
        result = landing.land(self.settings, [place], instant(landed_at))
        assert not result.reject_reasons, result.reject_reasons
        assert all(reference.status == "landed" for reference in result.references), result.references

    def _event(self, event: Row) -> Row:
        self.events += 1
        return {"event_id": f"event-{self.events}", "producer": "meter", **event}

    def build(self, as_of: str, **how: Any) -> None:
        warehouse.build(self.settings, instant(as_of), **how)

    def asked_by(self, test: str) -> str:
        """The SQL of a data test in the last build; `test`: how its name begins."""
        results = json.loads(warehouse.run_results_path(self.settings).read_text(encoding="utf-8"))["results"]
        [query] = [result["compiled_code"] for result in results if f".{test}" in result["unique_id"]]
        return query

    def rows(self, query: str, *parameters: Any) -> list[tuple]:
        with warehouse.read(self.settings) as connection:
            return connection.execute(query, list(parameters)).fetchall()

"""Stored gate results: one JSON file per run, written whole or not at all, the same bytes for the same input."""

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from expectations.gate import Scope
from orchestration.errors import UsageWarehouseError
from orchestration.gates.instants import as_stamp
from orchestration.settings import Settings, parse_instant

NAME = re.compile(r"(?P<period>\d{4}-\d{2})-(?P<cutoff>\d{8,})-(?P<stamp>\d{8}T\d{6}Z)\.json")


@dataclass(frozen=True)
class StoredRun:
    """One file of results: when it was checked, and its rows."""

    checked_at: datetime
    rows: tuple[dict[str, Any], ...]


def results_folder(settings: Settings) -> Path:
    return settings.gates / "results"


def store(settings: Settings, scope: Scope, checked_at: datetime, rows: list[dict[str, Any]]) -> Path:
    """Write the rows beside their place, then move them there: a reader sees the old file or the new one."""
    folder = results_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{scope.billing_period}-{scope.cutoff_batch_id:08d}-{as_stamp(checked_at)}.json"
    beside = folder / f".{path.name}.{os.getpid()}"
    with beside.open("w", encoding="utf-8") as handle:
        handle.write(json.dumps(rows, sort_keys=True, indent=1, ensure_ascii=False) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    beside.replace(path)
    return path


def read_runs(settings: Settings, billing_period: str) -> dict[int, list[StoredRun]]:
    """All stored runs of a period, by cutoff, oldest first. Raises UsageWarehouseError on an unreadable file."""
    runs: dict[int, list[StoredRun]] = {}
    for path in sorted(results_folder(settings).glob(f"{billing_period}-*.json")):
        name = NAME.fullmatch(path.name)
        if not name:
            continue
        try:
            rows = tuple(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise UsageWarehouseError(f"the stored gate results {path} cannot be read: {error}") from error
        runs.setdefault(int(name["cutoff"]), []).append(StoredRun(parse_instant(name["stamp"]), rows))
    return runs

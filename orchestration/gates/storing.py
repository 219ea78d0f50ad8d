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
from orchestration.landing.linking import link_file
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
    """Write the rows of one run; returns where."""
    name = f"{scope.billing_period}-{scope.cutoff_batch_id:08d}-{as_stamp(checked_at)}.json"
    path = results_folder(settings) / name
    write_whole(path, json.dumps(rows, sort_keys=True, indent=1, ensure_ascii=False) + "\n")
    return path


def write_whole(path: Path, text: str) -> None:
    """Write beside the place, then move there: a reader sees the old file or the new one.

    Only one run writes at a time, so that any other draft in the folder is what a killed run left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(".*.[0-9]*"):
        leftover.unlink()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_runs(settings: Settings, billing_period: str) -> dict[int, list[StoredRun]]:
    """All stored runs of a period, by cutoff, oldest first. Raises UsageWarehouseError on an unreadable file."""
    runs: dict[int, list[StoredRun]] = {}
    for path in sorted(results_folder(settings).glob(f"{billing_period}-*.json")):
        name = NAME.fullmatch(path.name)
        if name:
            runs.setdefault(int(name["cutoff"]), []).append(_read_run(path, name))
    return runs


def read_last_runs(settings: Settings, count: int, billing_period: str = "*") -> dict[str, list[tuple[int, StoredRun]]]:
    """The last `count` runs of every period, or of one, with their cutoffs, newest first; other files are not opened.

    Raises UsageWarehouseError on an unreadable file.
    """
    found: dict[str, list[tuple[str, int, Path, re.Match[str]]]] = {}
    for path in results_folder(settings).glob(f"{billing_period}-*.json"):
        name = NAME.fullmatch(path.name)
        if name:
            found.setdefault(name["period"], []).append((name["stamp"], int(name["cutoff"]), path, name))
    return {
        period: [
            (cutoff, _read_run(path, name))
            for _, cutoff, path, name in sorted(runs, key=lambda run: run[:2], reverse=True)[:count]
        ]
        for period, runs in found.items()
    }


def link_runs(settings: Settings, other: Settings, last_cutoff: int) -> None:
    """Give the home of `other` the results of all runs at a cutoff up to `last_cutoff`: for states of the past."""
    for path in results_folder(settings).glob("*.json"):
        name = NAME.fullmatch(path.name)
        if name and int(name["cutoff"]) <= last_cutoff:
            link_file(path, results_folder(other) / path.name)


def _read_run(path: Path, name: re.Match[str]) -> StoredRun:
    try:
        rows = tuple(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise UsageWarehouseError(f"the stored gate results {path} cannot be read: {error}") from error
    return StoredRun(parse_instant(name["stamp"]), rows)

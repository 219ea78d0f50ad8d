"""Bytes per event, in the lake and in the warehouse, against the same rows in plain Parquet (snappy) with ids as text."""

import json
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import module, run
from tests.benchmarks.report import Row


def measure(bench: Bench) -> list[Row]:
    home, load = bench.built_home(), bench.load
    events = json.loads((load.folder / "load.json").read_text())["records"]
    dumps = sorted((load.folder / "events").rglob("*.parquet"))
    plain = json.loads(run(module("tasks", "plain_parquet", bench.work / "plain.parquet", *dumps)).output)["bytes"]
    lake = bytes_of(home / "lake" / "usage_events")
    warehouse = (home / "warehouse.duckdb").stat().st_size
    return [
        Row("storage", "lake", ratio=lake / plain, of="plain Parquet", at_most=0.5, note=f"{lake / events:.1f} bytes per event"),
        Row("storage", "warehouse.duckdb", ratio=warehouse / plain, of="plain Parquet", note=f"{warehouse / events:.1f} bytes per event"),
        Row("storage", "plain Parquet (snappy, ids as text)", note=f"{plain / events:.1f} bytes per event"),
    ]  # fmt: skip


def bytes_of(folder: Path) -> int:
    """The bytes of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

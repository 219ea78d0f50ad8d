"""Bytes per event, in the lake and in the warehouse, against the same rows in plain Parquet (snappy) with ids as text."""

import json
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.jobs import event_files
from tests.benchmarks.measuring import module, run
from tests.benchmarks.report import Row


def measure(bench: Bench) -> list[Row]:
    """The lake and the warehouse against the lake's rows; for comparison the dumps' rows, which have no provenance yet."""
    home, load = bench.built_home(), bench.load
    events = json.loads((load.folder / "load.json").read_text())["records"]
    plain = plain_bytes(bench, event_files(home))
    dumps = plain_bytes(bench, sorted((load.folder / "events").rglob("*.parquet")))
    stored = {
        "lake": bytes_of(home / "lake" / "usage_events"),
        "warehouse.duckdb": (home / "warehouse.duckdb").stat().st_size,
        "the lake's rows, plain": plain,
        "the dumps' rows, plain": dumps,
    }
    limits = {"lake": 0.5}
    return [
        Row("storage", what, ratio=count / plain, of="the lake's rows, plain", at_most=limits.get(what), note=f"{count / events:.1f} bytes per event")
        for what, count in stored.items()
    ]  # fmt: skip


def plain_bytes(bench: Bench, files: Iterable[Path]) -> int:
    """What the rows of these files take in plain Parquet (snappy, ids as text)."""
    task = module("tasks", "plain_parquet", bench.work / "plain.parquet", *files)
    return json.loads(run(task).output)["bytes"]


def bytes_of(folder: Path) -> int:
    """The bytes of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

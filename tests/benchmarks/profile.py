"""`make profile`: where the time of a full rebuild goes, per model and, inside the models that take longest, per operator.

The run is the everyday one in everything but that DuckDB writes a profile of each statement; dbt heads each with the node that it belongs to.
"""

import argparse
import json
import re
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestration import warehouse
from orchestration.locking import writing
from orchestration.settings import load_settings, parse_instant
from tests.benchmarks.sets import instant, landed, load_set

NODE = re.compile(r'"node_id":\s*"(?P<node>[^"]+)"')


@dataclass
class Profile:
    """What a node took: seconds by the clock, in all (dbt's) and inside DuckDB, and processor seconds per operator, summed over its statements."""

    node: str
    seconds: float
    in_duckdb: float = 0
    operators: Counter[str] = field(default_factory=Counter)
    peak_bytes: int = 0

    @property
    def name(self) -> str:
        return self.node.split(".")[2] if self.node.count(".") > 1 else self.node


@contextmanager
def profiling(folder: Path) -> Iterator[dict[str, list[Path]]]:
    """While it is open, every statement that dbt runs leaves a profile in the folder. Yields node → files, filled as it goes."""
    from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper as Cursor

    files: dict[str, list[Path]] = defaultdict(list)
    plain: Callable[..., Any] = Cursor.execute
    number = iter(range(1_000_000_000))

    def execute(self: Any, sql: str, bindings: Any = None) -> Any:
        named = NODE.search(sql[:2000])
        if named:
            target = folder / f"{next(number)}.json"
            files[named["node"]].append(target)
            self._cursor.execute("set enable_profiling = 'json'")
            self._cursor.execute(f"set profiling_output = '{target}'")
        return plain(self, sql, bindings)

    Cursor.execute = execute
    try:
        yield files
    finally:
        Cursor.execute = plain


def operators(profile: dict[str, Any]) -> Counter[str]:
    """Processor seconds per type of operator of one statement."""
    found: Counter[str] = Counter()
    todo = [profile]
    while todo:
        step = todo.pop()
        todo += step.get("children", [])
        if step.get("operator_name"):
            found[step["operator_name"].strip()] += step.get("operator_timing", 0)
    return found


def profiles(results: dict[str, Any], files: dict[str, list[Path]]) -> list[Profile]:
    """dbt's results and DuckDB's profiles put together, longest first."""
    found = []
    for done in results["results"]:
        profile = Profile(done["unique_id"], done["execution_time"])
        for path in files.get(profile.node, []):
            if path.exists() and path.stat().st_size:
                statement = json.loads(path.read_text(encoding="utf-8"))
                profile.in_duckdb += statement.get("latency", 0)
                profile.operators.update(operators(statement))
                profile.peak_bytes = max(profile.peak_bytes, statement.get("system_peak_buffer_memory", 0))
        found.append(profile)
    return sorted(found, key=lambda profile: -profile.seconds)


def rebuild(home: Path, as_of: str) -> list[Profile]:
    """A full rebuild of the home, profiled."""
    settings = load_settings(home)
    with tempfile.TemporaryDirectory() as folder, writing(settings, "build"), profiling(Path(folder)) as files:
        warehouse.build(settings, parse_instant(as_of), full_refresh=True)
        results = json.loads(warehouse.run_results_path(settings).read_text(encoding="utf-8"))
        return profiles(results, files)


def show(found: list[Profile], most: int) -> None:
    """The table: nodes longest first, each with its longest operators."""
    table = Table("node", "kind", "seconds", "share", "in DuckDB", "peak memory", "processor seconds per operator")
    everything = sum(profile.seconds for profile in found)
    for profile in found[:most]:
        longest = ", ".join(f"{name} {seconds:.2f}" for name, seconds in profile.operators.most_common(6))
        table.add_row(
            profile.name, profile.node.split(".")[0], f"{profile.seconds:.2f}", f"{profile.seconds / everything:.1%}", f"{profile.in_duckdb:.2f}",
            f"{profile.peak_bytes / 1e9:.2f} GB", longest,
        )  # fmt: skip
    console = Console()
    (console if console.is_terminal else Console(width=220)).print(table)
    for kind in ("model", "test", "seed"):
        print(f"{kind}s: {sum(p.seconds for p in found if p.node.startswith(kind)):.1f} s")
    total: Counter[str] = Counter()
    for profile in found:
        total.update(profile.operators)
    print("operators, all nodes: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in total.most_common(12)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.profile", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument(
        "--home",
        type=Path,
        help="a home in which the load set has landed; it is built anew (default: made for this run)",
    )
    parser.add_argument("--most", type=int, default=25, help="how many nodes to show (default 25)")
    chosen = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="usage-profile-"))
    try:
        home, now = chosen.home, instant(chosen.days + 6)
        if home is None:
            load = load_set(work, chosen.events, chosen.days)
            home, now = work / "home", instant(load.last_collection)
            landed(home, [load.reference, load.folder / "events"], now)
        show(rebuild(home, now), chosen.most)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()

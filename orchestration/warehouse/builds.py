"""Runs `dbt build` in this process: one parse for many runs, environment in, results out, and no lock left behind."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestration.errors import UsageWarehouseError
from orchestration.settings import DBT_PROJECT, Settings, now

NEEDED_REFERENCES = ("metrics", "units", "skus", "accounts")

# Where dbt keeps what it has parsed, in its target folder. It does not trust a file that it cannot read.
PARSED = "partial_parse.msgpack"

# What profiles.yml reads of the environment, with defaults.
IN_THE_PROFILE = ("USAGE_HOME", "USAGE_MEMORY_LIMIT", "USAGE_VACUUM_TASKS")

# What a run of the warehouse builds and tests. Unit tests check the SQL, not the data: `make test` runs them.
EVERYDAY = ("--exclude-resource-type", "unit_test")


@dataclass(frozen=True)
class BuildResult:
    """What a build did: how many models and seeds were built, tests passed and tests warned, and how long it took (seconds)."""

    models: int
    tests: int
    warnings: tuple[str, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def build(
    settings: Settings,
    as_of: datetime | None = None,
    full_refresh: bool = False,
    select: list[str] | None = None,
    as_of_batch: int | None = None,
    test: bool = True,
    compact: bool = True,
    on_progress: Callable[[str, int], None] | None = None,
) -> BuildResult:
    """Bring the marts up to date with what has landed.

    `as_of` stands for now; `select` takes dbt selectors (default: everything); `as_of_batch` builds the state that was known
    by that batch, which is only right in a home of its own; `test=False` leaves out the data tests; `compact=False` leaves what it
    appends to tables beside what is there, for a later build to make it one. Raises UsageWarehouseError with the first failure of dbt.
    """
    if not any((settings.lake / "batches").glob("batch=*.json")):
        raise UsageWarehouseError(f"nothing has landed in {settings.home} yet: run `usage land` first")
    missing = [
        table for table in NEEDED_REFERENCES if not any((settings.lake / "reference" / table).glob("*/*.parquet"))
    ]
    if missing:
        raise UsageWarehouseError(
            f"needed reference tables have not landed: {', '.join(missing)}; land them with `usage land`"
        )
    arguments = ["build", *EVERYDAY]
    if full_refresh:
        arguments.append("--full-refresh")
    if not test:
        arguments += ["--exclude-resource-type", "test"]
    if select:
        arguments += ["--select", *select]
    with _environment(settings, as_of, as_of_batch, compact):
        outcome = _invoke(settings, arguments, on_progress)
    return _summary(outcome)


def manifest_path(settings: Settings) -> Path:
    """The path of the parsed project's manifest.json, which Dagster's assets are made from; parses where that has not been done."""
    target, logs = _folders(settings)
    path = Path(target) / "manifest.json"
    with _environment(settings):
        parsed = _manifest(target, logs)
    path.parent.mkdir(parents=True, exist_ok=True)
    parsed.writable_manifest().write(str(path))
    return path


def take_over_parse(settings: Settings, new: Settings) -> None:
    """Let a new home begin with what another has parsed, so that dbt parses only what has changed. Nothing happens where nothing was parsed."""
    parsed, taken = (Path(_folders(home)[0]) / PARSED for home in (settings, new))
    if parsed.is_file():
        taken.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(parsed, taken)


def run_results_path(settings: Settings) -> Path:
    """Where the last build left dbt's run_results.json: what happened to each model and test."""
    return Path(_folders(settings)[0]) / "run_results.json"


def _folders(settings: Settings) -> tuple[str, str]:
    """dbt's target and log folders, in the home."""
    return str(settings.home / ".dbt" / "target"), str(settings.home / ".dbt" / "logs")


@contextmanager
def _environment(
    settings: Settings, as_of: datetime | None = None, as_of_batch: int | None = None, compact: bool = True
) -> Iterator[None]:
    """What the project reads through env_var(): the home, the limits, and what stands for now and for all that is known."""
    wanted = {
        "USAGE_HOME": str(settings.home),
        "USAGE_MEMORY_LIMIT": settings.memory_limit,
        "USAGE_AS_OF": now(as_of).isoformat(),
        "USAGE_VACUUM_TASKS": None if compact else "0",
        "USAGE_AS_OF_BATCH": None if as_of_batch is None else str(as_of_batch),
        "DO_NOT_TRACK": "1",
    }
    with _variables(wanted):
        yield


@contextmanager
def _variables(wanted: dict[str, str | None]) -> Iterator[None]:
    """Environment variables as wanted (None: not there), and afterwards as they were."""
    before = {name: os.environ.get(name) for name in wanted}
    try:
        _set(wanted)
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


_parsed: dict[str, Any] = {}


def _manifest(target: str, logs: str) -> Any:
    """The parsed project. It holds nothing of a home: paths are read when a model runs, so one parse serves every home."""
    from dbt.cli.main import dbtRunner

    if "manifest" in _parsed:
        return _parsed["manifest"]
    # dbt takes another profile for another project, and would parse all of it again in a home that was moved, or is a recomputation
    with _variables(dict.fromkeys(IN_THE_PROFILE)):
        outcome = dbtRunner().invoke(["parse", *_places(target, logs)])
    if not outcome.success:
        raise UsageWarehouseError(f"the dbt project does not parse: {_one_line(outcome.exception)}")
    return _parsed.setdefault("manifest", outcome.result)


def _places(target: str, logs: str) -> list[str]:
    return [
        "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target-path", target, "--log-path", logs,
        "--quiet", "--log-level", "none", "--no-use-colors", "--no-version-check",
        # a manifest of a project that has not changed would be written in every run; Dagster asks for it where it is needed
        "--no-write-json",
    ]  # fmt: skip


def _invoke(settings: Settings, arguments: list[str], on_progress: Callable[[str, int], None] | None) -> Any:
    from dbt.cli.main import dbtRunner

    target, logs = _folders(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    manifest = _manifest(target, logs)
    finished = 0

    def count(event: Any) -> None:
        nonlocal finished
        if on_progress and event.info.name == "NodeFinished":
            finished += 1
            on_progress(event.data.node_info.node_name, finished)

    try:
        outcome = dbtRunner(manifest=manifest, callbacks=[count]).invoke([*arguments, *_places(target, logs)])
    finally:
        _let_go()
    if outcome.result is not None:
        outcome.result.write(str(run_results_path(settings)))
    return outcome


def _let_go() -> None:
    """Close the database that dbt leaves open, and with it the file's lock. Opening and closing it around each model would cost 40 % of a build."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager as Connections

    if Connections._ENV is not None:
        Connections._ENV.close()
    Connections.close_all_connections()


def _summary(outcome: Any) -> BuildResult:
    if outcome.exception:
        raise UsageWarehouseError(_one_line(outcome.exception))
    results = outcome.result.results
    broken = [result for result in results if str(result.status) in ("error", "fail")]
    if broken:
        raise UsageWarehouseError(
            "; ".join(f"{result.node.name}: {_one_line(result.message)}" for result in broken[:5])
        )
    return BuildResult(
        models=sum(result.node.resource_type in ("model", "seed") for result in results),
        tests=sum(result.node.resource_type == "test" for result in results),
        warnings=tuple(result.node.name for result in results if str(result.status) == "warn"),
        seconds=round(outcome.result.elapsed_time, 1),
    )


def _one_line(message: object) -> str:
    return " ".join(str(message).split())[:600]

"""What is measured and has no command of its own. `python -m tests.benchmarks.tasks NAME ARGUMENTS…`, each in a process of its own; prints JSON."""

import functools
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVENT_COLUMNS = {
    "event_id": "varchar",
    "producer": "varchar",
    "event_ts": "timestamptz",
    "ingested_ts": "timestamptz",
    "metric": "varchar",
    "quantity": "decimal(38, 9)",
    "unit": "varchar",
    "sku": "varchar",
    "account_id": "varchar",
    "api_key": "varchar",
    "namespace": "varchar",
    "region": "varchar",
}


def build_untested(home: str, as_of: str) -> dict:
    """A full rebuild without the data tests: what the reference does, which has none."""
    from orchestration import warehouse
    from orchestration.locking import writing
    from orchestration.settings import load_settings, parse_instant

    settings = load_settings(home)
    with writing(settings, "build"):
        return warehouse.build(settings, parse_instant(as_of), full_refresh=True, test=False).as_dict()


def parse(home: str) -> dict:
    """Only dbt's parse, which a home keeps until it is moved: dbt takes another path for another project."""
    from orchestration import warehouse
    from orchestration.settings import load_settings

    return {"manifest": str(warehouse.manifest_path(load_settings(home)))}


def close(home: str, period: str, as_of: str) -> dict:
    """Gates, close and receipt of a period of a home that is up to date."""
    from orchestration.locking import writing
    from orchestration.operations import runs
    from orchestration.settings import load_settings, parse_instant

    settings, now = load_settings(home), parse_instant(as_of)
    with writing(settings, "month-end"):
        _, decision = runs.gate(settings, period, now, None)
        if not decision.allowed:
            sys.exit(runs.why_not(period, decision))
        return {"receipt": str(runs.close(settings, period, now))}


def publish(home: str) -> dict:
    """Only the published files."""
    from orchestration import publishing
    from orchestration.locking import writing
    from orchestration.settings import load_settings

    settings = load_settings(home)
    with writing(settings, "publish"):
        return {"published": [str(path) for path in publishing.publish(settings)]}


def clocked(home: str, as_of: str, started: str) -> dict[str, float]:
    """A nightly run, and how long each part of it took, from the start of the process (`started`: seconds since the epoch)."""
    clock: dict[str, float] = defaultdict(float)

    import dbt.cli.main  # noqa: F401

    from orchestration import landing, operations, publishing, warehouse
    from orchestration.locking import writing
    from orchestration.operations import runs
    from orchestration.settings import load_settings, parse_instant
    from orchestration.warehouse import builds

    clock["start and imports"] = time.time() - float(started)
    settings = load_settings(home)

    def timed(function: Callable, phase: str, then: Callable[[], object] = lambda: None) -> Callable:
        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                clock[phase] += time.perf_counter() - begun
                then()

        return wrapped

    def models_and_tests() -> None:
        for done in json.loads(warehouse.run_results_path(settings).read_text())["results"]:
            kind = "tests" if done["unique_id"].startswith("test.") else "models"
            clock[kind] += done["execution_time"]

    begun = time.perf_counter()
    builds._manifest = timed(builds._manifest, "parse")
    warehouse.build = timed(warehouse.build, "build", models_and_tests)
    landing.land = timed(landing.land, "landing")
    runs.check_waiting = timed(runs.check_waiting, "gates")
    publishing.Publishing.settle = timed(publishing.Publishing.settle, "publish")
    publishing.Publishing.finish = timed(publishing.Publishing.finish, "publish")
    with writing(settings, "nightly"):
        operations.nightly(settings, parse_instant(as_of))
    everything = time.perf_counter() - begun
    clock["dbt around models and tests"] = clock["build"] - clock["models"] - clock["tests"] - clock["parse"]
    clock["the rest"] = everything - sum(clock[phase] for phase in ("build", "landing", "gates", "publish"))
    del clock["build"]
    return {phase: round(seconds, 2) for phase, seconds in clock.items()}


def bare_landing(form: str, target: str, *files: str) -> dict:
    """What landing is told against: DuckDB reads the files, their types given, and writes Parquet with zstd."""
    import duckdb

    columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in EVENT_COLUMNS.items()) + "}"
    reader = {
        "jsonl": f"read_json($files, format = 'newline_delimited', columns = {columns})",
        "csv": f"read_csv($files, header = true, columns = {columns})",
        "parquet": "read_parquet($files)",
    }[form]
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select * from {reader}) to '{target}' (format parquet, compression zstd)", {"files": list(files)}
        )
        return {"rows": connection.execute("select count(*) from read_parquet($1)", [target]).fetchone()[0]}


def plain_parquet(target: str, *files: str) -> dict:
    """What storage is told against: the rows of these files, ids as text, in Parquet with snappy."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.read_parquet(list(files), hive_partitioning=False)
        if "event_uuid" in rows.columns:
            rows = rows.select("* exclude (event_uuid) replace (coalesce(event_id, event_uuid::varchar) as event_id)")
        rows.create_view("rows")
        connection.execute(f"copy rows to '{target}' (format parquet, compression snappy)")
    return {"bytes": Path(target).stat().st_size}


def cold_query(database: str, statement: str) -> dict:
    """Opens the database, whose pages the system was asked to forget, runs one query and fetches all of it."""
    with open(database, "rb") as file:  # noqa: PTH123
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    import duckdb

    begun = time.perf_counter()
    with duckdb.connect(database, read_only=True) as connection:
        rows = connection.execute(statement).fetchall()
    return {"seconds": time.perf_counter() - begun, "rows": len(rows)}


def warm_queries(database: str, times: str, *statements: str) -> dict:
    """Runs each query once, then `times` times in turn in the same connection; seconds of each."""
    import duckdb

    found: list[list[float]] = [[] for _ in statements]
    with duckdb.connect(database, read_only=True) as connection:
        for _ in range(int(times) + 1):
            for seconds, statement in zip(found, statements, strict=True):
                begun = time.perf_counter()
                connection.execute(statement).fetchall()
                seconds.append(time.perf_counter() - begun)
    return {"seconds": [seconds[1:] for seconds in found]}


TASKS = (build_untested, parse, close, publish, clocked, bare_landing, plain_parquet, cold_query, warm_queries)

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps({task.__name__: task for task in TASKS}[name](*arguments)))

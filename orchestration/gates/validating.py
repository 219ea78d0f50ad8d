"""Runs gates with Great Expectations on DuckDB and keeps its Data Docs: the only module that knows Great Expectations.

It is imported inside functions, because the import alone takes seconds that `usage status` and Dagster's loading should
not pay. All suites share one context and one read-only connection, which is closed at the end, so that dbt may write.
"""

import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from expectations.gate import Gate, Scope
from orchestration.gates.catalog import SUITES
from orchestration.gates.offline import DATA_DOCS, make_self_contained, run_name
from orchestration.settings import Settings

RUNS_IN_DATA_DOCS = 30


@dataclass(frozen=True)
class Outcome:
    """What came of one gate. `error` is the message of a crash: such a gate failed, and no row can be shown for it.

    `rows` are the first breaking rows, plain values, in the gate's order; `row_count` is the number of all of them, and
    `accounts` the accounts of all of them (None for a row that concerns no single account).
    """

    gate: Gate
    suite: str
    expectation: str
    passed: bool
    observed: str
    row_count: int = 0
    rows: tuple[dict[str, Any], ...] = ()
    accounts: frozenset[str | None] = field(default_factory=frozenset)
    error: str | None = None


def validate(settings: Settings, scope: Scope, checked_at: datetime) -> tuple[list[Outcome], Path | None]:
    """The outcome of every gate, in the catalog's order, and the index page of the Data Docs (None if it broke)."""
    with _quiet(), _context(settings) as (context, source):
        outcomes = [
            outcome
            for suite, (gates, build) in SUITES.items()
            for outcome in _run_suite(context, source, suite, gates, build, scope, checked_at)
        ]
        return outcomes, _write_data_docs(settings, context)


@contextmanager
def _quiet() -> Iterator[None]:
    """No telemetry, progress bars or chatter: what the gates have to say stands in their results."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _context(settings: Settings) -> Iterator[tuple[Any, Any]]:
    """A context whose validation results stay on disk (the Data Docs show past runs) and all else in memory."""
    import great_expectations as gx
    from sqlalchemy import URL

    context = gx.get_context(project_config=_context_config(settings), mode="ephemeral")
    source = context.data_sources.add_or_update_sql(
        name="warehouse",
        create_temp_table=False,
        connection_string=_literal(URL.create("duckdb", database=str(settings.warehouse)).render_as_string()),
        kwargs={
            "connect_args": {
                "read_only": True,
                "config": {"memory_limit": settings.memory_limit, "threads": settings.threads},
            },
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
        },
    )
    try:
        yield context, source
    finally:
        _close(source)


def _literal(text: str) -> str:
    """A `$` in a folder's name is no variable of Great Expectations' configuration."""
    return text.replace("$", r"\$")


def _close(source: Any) -> None:
    """The source keeps one engine for reflection and one for running; either would keep the file locked."""
    execution_engine = source.get_execution_engine()
    execution_engine.close()
    execution_engine.engine.dispose()
    source.get_engine().dispose()


def _context_config(settings: Settings) -> Any:
    from great_expectations.data_context.types.base import DataContextConfig, ProgressBarsConfig

    def on_disk(folder: Path) -> dict[str, str]:
        return {"class_name": "TupleFilesystemStoreBackend", "base_directory": _literal(str(folder))}

    in_memory = {"class_name": "InMemoryStoreBackend"}
    return DataContextConfig(
        expectations_store_name="expectations_store",
        validation_results_store_name="validation_results_store",
        checkpoint_store_name="checkpoint_store",
        stores={
            "expectations_store": {"class_name": "ExpectationsStore", "store_backend": in_memory},
            "validation_definition_store": {"class_name": "ValidationDefinitionStore", "store_backend": in_memory},
            "checkpoint_store": {"class_name": "CheckpointStore", "store_backend": in_memory},
            "validation_results_store": {
                "class_name": "ValidationResultsStore",
                "store_backend": on_disk(_validations_folder(settings)),
            },
        },
        data_docs_sites={
            "gates": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": on_disk(_data_docs_folder(settings)),
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            }
        },
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )


def _validations_folder(settings: Settings) -> Path:
    return settings.gates / "validations"


def _data_docs_folder(settings: Settings) -> Path:
    return settings.gates / DATA_DOCS


def _run_suite(
    context: Any, source: Any, suite: str, gates: tuple[Gate, ...], build: Any, scope: Scope, checked_at: datetime
) -> list[Outcome]:
    """One validation; should it crash as a whole, every gate of the suite failed with that message."""
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier

    try:
        asset = source.add_query_asset(suite, query=scope.sql())
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(
                name=suite, data=asset.add_batch_definition_whole_table("scope"), suite=context.suites.add(build())
            )
        )
        name = run_name(scope.billing_period, scope.cutoff_batch_id)
        run = definition.run(result_format="COMPLETE", run_id=RunIdentifier(run_name=name, run_time=checked_at))
        by_gate = {result.expectation_config.meta["gate"]: result for result in run.results}
        with source.get_execution_engine().engine.connect() as connection:
            return [_outcome(gate, suite, by_gate.get(gate.name), connection, scope) for gate in gates]
    except Exception as error:  # whatever broke, a gate that was not evaluated did not pass
        return [_crashed(gate, suite, _first_line(error)) for gate in gates]


def _outcome(gate: Gate, suite: str, result: Any, connection: Any, scope: Scope) -> Outcome:
    if result is None:
        return _crashed(gate, suite, "the expectation was not evaluated")
    error = _exception_message(result.exception_info)
    if error:
        return _crashed(gate, suite, error)
    try:
        row_count, accounts = (0, frozenset()) if result.success else _extent(gate, connection, scope)
        return Outcome(
            gate=gate,
            suite=suite,
            expectation=result.expectation_config.type,
            passed=bool(result.success),
            observed=_observed(gate, row_count, connection, scope),
            row_count=row_count,
            rows=tuple(result.result["details"]["unexpected_rows"]),
            accounts=accounts,
        )
    except Exception as error:  # the measuring of a gate belongs to the gate
        return _crashed(gate, suite, _first_line(error))


def _crashed(gate: Gate, suite: str, message: str) -> Outcome:
    return Outcome(gate, suite, "expect_no_breaking_rows", passed=False, observed="error", error=message)


def _exception_message(info: dict[str, Any] | None) -> str | None:
    """Great Expectations gives one exception, or one per metric keyed by the metric: the first message that stands."""
    if not info:
        return None
    entries = [info] if "raised_exception" in info else [info[key] for key in sorted(info)]
    messages = [str(entry["exception_message"]) for entry in entries if entry.get("raised_exception")]
    return messages[0].splitlines()[0] if messages else None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _select(connection: Any, sql: str, scope: Scope) -> list[Any]:
    from sqlalchemy import text

    return connection.execute(text(sql.replace("{batch}", f"({scope.sql()})"))).fetchall()


def _observed(gate: Gate, row_count: int, connection: Any, scope: Scope) -> str:
    measured = gate.observed_value()
    return str(_select(connection, measured, scope)[0][0]) if measured else f"{row_count} breaking rows"


def _extent(gate: Gate, connection: Any, scope: Scope) -> tuple[int, frozenset[str | None]]:
    """How many rows break a gate and the accounts of all of them: a waiver has to cover more than the rows shown."""
    columns = {row[0] for row in _select(connection, f"describe {gate.breaking_rows()}", scope)}
    account = "account_id" if "account_id" in columns else "null"
    sql = f"select {account} as account, count(*) from ({gate.breaking_rows()}) as breaking_rows group by account"
    counts = dict(map(tuple, _select(connection, sql, scope)))
    return sum(counts.values()), frozenset(counts)


def _write_data_docs(settings: Settings, context: Any) -> Path | None:
    """Render what is new. A page that cannot be rendered must not undo a measured result: it is logged."""
    try:
        _forget_old_runs(settings)
        context.build_data_docs(
            resource_identifiers=[*context.expectations_store.list_keys(), *_unseen(settings, context)]
        )
        make_self_contained(_data_docs_folder(settings))
    except Exception as error:
        logging.getLogger(__name__).error(
            "the gates ran, but their Data Docs could not be written: %s", _first_line(error)
        )
        return None
    return _data_docs_folder(settings) / "index.html"


def _unseen(settings: Settings, context: Any) -> list[Any]:
    """The stored results that have no page, or one of an earlier run at the same time."""
    stored = {key: Path(*key.to_tuple()) for key in context.validation_results_store.list_keys()}
    results, pages = _validations_folder(settings), _data_docs_folder(settings) / "validations"
    return [
        key
        for key, path in stored.items()
        if not (page := (pages / path).with_suffix(".html")).exists()
        or page.stat().st_mtime_ns < (results / path).with_suffix(".json").stat().st_mtime_ns
    ]


def _forget_old_runs(settings: Settings) -> None:
    """Keep the newest runs of each suite, since the index opens every stored one; and none that a killed run left half written."""
    validations, pages = _validations_folder(settings), _data_docs_folder(settings) / "validations"
    for stored in validations.rglob("*.json"):
        if not _is_whole(stored):
            shutil.rmtree(stored.parent)
    for suite in SUITES:
        runs = [run for run in (validations / suite).glob("*/*") if run.is_dir()]
        runs.sort(key=lambda run: (run.stat().st_mtime, run.as_posix()), reverse=True)
        for run in runs[RUNS_IN_DATA_DOCS:]:
            shutil.rmtree(run)
            shutil.rmtree(pages / run.relative_to(validations), ignore_errors=True)


def _is_whole(stored: Path) -> bool:
    try:
        json.loads(stored.read_bytes())
    except ValueError:
        return False
    return True

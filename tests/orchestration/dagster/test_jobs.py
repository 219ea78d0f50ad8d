"""The jobs, run in this process on a small home: the command line's figures, and gates that nothing goes round."""

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration import gates, operations, warehouse
from orchestration.closing.canonical import content_sha256
from orchestration.closing.database import attach_warehouse, scratch_connection
from orchestration.closing.receipts import read_receipt
from orchestration.closing.tables import FROZEN_TABLES, frozen_query
from orchestration.locking import writing
from orchestration.scheduling import running
from orchestration.scheduling.lake_assets import landing_step
from orchestration.settings import Settings, parse_instant
from tests.end_to_end.house import copied, fingerprints, state
from tests.orchestration.dagster.conftest import NIGHT, Run, batches, drop, failed_checks, home_with_key, steps

MONTH_END = "2026-12-05T12:00:00Z"
FINALIZE = "finalized__period"
GATES = dg.AssetKey(["gates", "results"])
PERIOD = dg.AssetKey(["finalized", "period"])
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def test_the_jobs_give_the_same_bytes_as_the_command_line(
    run: Run, after_a_night: Settings, dumps: list[Path], tmp_path: Path
) -> None:
    by_dagster, headless = copied(after_a_night, tmp_path / "dagster"), home_with_key(tmp_path / "headless")
    drop(headless, dumps[0])
    operations.nightly(headless, parse_instant(NIGHT))
    assert state(by_dagster) == state(headless)
    for part in ("lake", "gates/results", "published"):
        assert fingerprints(by_dagster.home / part) == fingerprints(headless.home / part), part

    close = run(by_dagster, "month_end", MONTH_END, partition_key="2026-09")
    operations.month_end(headless, "2026-09", parse_instant(MONTH_END))
    assert close.success
    assert failed_checks(close, ERROR) == set()
    assert period_status(by_dagster, "2026-09") == "final"
    assert shown_otherwise_than_frozen(headless, "2026-09") == []
    assert state(by_dagster) == state(headless)
    for part in ("finalized", "gates/results", "published"):
        assert fingerprints(by_dagster.home / part) == fingerprints(headless.home / part), part

    again = run(
        by_dagster, "month_end", "2026-12-06T12:00:00Z", partition_key="2026-09", asset_selection=[GATES, PERIOD]
    )
    assert again.success
    assert {check.check_name for check in again.get_asset_check_evaluations()} == {*gates.GATE_NAMES, "may_close"}
    for part in ("finalized", "gates/results"):
        assert fingerprints(by_dagster.home / part) == fingerprints(headless.home / part), f"{part}: final is final"


def shown_otherwise_than_frozen(settings: Settings, period: str) -> list[str]:
    """The marts that do not show a closed period's rows as its receipt holds them. Before the first close they knew of no frozen files."""
    receipt = read_receipt(settings, period)
    with scratch_connection(settings) as connection:
        attach_warehouse(connection, settings, settings.warehouse)
        shown = {
            table.table: content_sha256(connection, frozen_query(connection, table, period)) for table in FROZEN_TABLES
        }
    frozen = {entry["table"]: (entry["rows"], entry["content_sha256"]) for entry in receipt.body["tables"]}
    assert frozen["invoice_lines"][0] and frozen["invoice_line_tiers"][0]
    return [table for table in frozen if shown[table] != frozen[table]]


def test_a_night_shows_what_people_look_at(night: dg.ExecuteInProcessResult) -> None:
    assert night.success, "a failing gate does not stop the publishing of provisional figures"
    assert "ledger_present" in failed_checks(night, WARN), "2026-10 has no ledger yet"
    assert "may_close" in failed_checks(night, WARN)
    assert failed_checks(night, ERROR) == set()
    shown = {
        "/".join(event.asset_key.path): set(event.step_materialization_data.materialization.metadata)
        for event in night.get_asset_materialization_events()
    }
    expected = {
        "lake/usage_events": {"batch", "records", "accepted", "rejected", "path", "dagster/row_count"},
        "lake/rejected_events": {"rejected", "dagster/row_count", "rejected: invalid_quantity"},
        "reference/prices": {"version", "sha256", "dagster/row_count"},
        "usage/usage_daily": {"dagster/row_count", "seconds"},
        "finance/ledger_reconciliation": {"periods", "gap 2026-09", "dagster/row_count"},
        "operations/event_conservation": {"batches"},
        "operations/pipeline_slis": {"slis"},
        "gates/results": {"gates", "failed", "data docs"},
        "published/finance": {"path", "bytes", "tables"},
    }
    assert {asset: names - shown.get(asset, set()) for asset, names in expected.items()} == {a: set() for a in expected}


def test_a_failing_gate_blocks_the_close_and_nothing_goes_round_it(
    run: Run, after_a_night: Settings, dumps: list[Path], tmp_path: Path
) -> None:
    settings = copied(after_a_night, tmp_path / "home")
    ledger = settings.inbox / "reference" / "finance_ledger.csv"
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:2]))  # one entry is left
    operations.land_inbox(settings, parse_instant(MONTH_END), None)
    close = run(settings, "month_end", MONTH_END, partition_key="2026-09")
    assert not close.success
    assert {"reconciliation_total_gap", "may_close"} <= failed_checks(close, ERROR)
    assert FINALIZE not in started(close)
    assert published_failures(settings, MONTH_END), "the results of the failed gates are published"

    alone = run(settings, "month_end", MONTH_END, partition_key="2026-09", asset_selection=[PERIOD])
    assert steps(alone) == {FINALIZE: "failure"}
    assert "reconciliation_total_gap" in failure(alone, FINALIZE)
    assert not settings.finalized.exists()
    assert period_status(settings, "2026-09") == "provisional"


def test_finalization_alone_needs_gates_of_the_current_cutoff(
    run: Run, after_a_night: Settings, dumps: list[Path], tmp_path: Path
) -> None:
    """Gates that passed, and then something landed: they say nothing about what would be closed now."""
    settings = copied(after_a_night, tmp_path / "home")
    drop(settings, dumps[1])
    operations.land_inbox(settings, parse_instant(MONTH_END), None)
    warehouse.build(settings, parse_instant(MONTH_END), select=["+batches"])
    alone = run(settings, "month_end", MONTH_END, partition_key="2026-09", asset_selection=[PERIOD])
    assert steps(alone) == {FINALIZE: "failure"}
    assert "have not run at the current cutoff" in failure(alone, FINALIZE)
    assert not settings.finalized.exists()


def test_a_step_waits_for_whoever_writes_and_is_tried_again(
    run: Run, dumps: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = home_with_key(tmp_path / "home")
    drop(settings, dumps[0])
    monkeypatch.setattr(running, "RETRY_SECONDS", 0)
    attempts = []

    def contended(settings, command, wait_seconds=30.0):
        attempts.append(command)
        if len(attempts) == 1:
            raise running.UsageWarehouseError("another run is writing")
        return writing(settings, command, wait_seconds)

    monkeypatch.setattr(running, "writing", contended)
    night = run(settings, "nightly", NIGHT, asset_selection=list(landing_step.keys))
    assert night.success
    assert attempts == ["landing", "landing"]
    assert batches(settings) == 1


def test_what_is_wrong_is_not_tried_again(run: Run, tmp_path: Path) -> None:
    settings = home_with_key(tmp_path / "home")
    night = run(settings, "nightly", NIGHT)
    assert not night.success
    assert "nothing has landed" in failure(night, "models")
    assert "STEP_UP_FOR_RETRY" not in {event.event_type_value for event in night.all_events}


def started(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.step_key for event in result.all_events if event.event_type_value == "STEP_START"}


def failure(result: dg.ExecuteInProcessResult, step: str) -> str:
    return str(result.failure_data_for_node(step).user_failure_data.description)


def period_status(settings: Settings, period: str) -> str:
    with warehouse.read(settings) as connection:
        [status] = connection.execute(
            "select status from billing.billing_periods where billing_period = ?", [period]
        ).fetchone()
    return status


def published_failures(settings: Settings, checked_at: str) -> int:
    """How many failed gates of a run finance sees."""
    with duckdb.connect(str(settings.published / "finance.duckdb"), read_only=True) as connection:
        [failed] = connection.execute(
            "select count(*) from operations.gate_results where not passed and checked_at = ?",
            [parse_instant(checked_at).replace(tzinfo=None)],
        ).fetchone()
    return failed

"""Rule 18–20: a close freezes what the gates passed, wholly or not at all, once and for ever."""

import dataclasses
import hashlib
import json
import random
import shutil
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from small_home import CLOSED_AT, OCTOBER, SEPTEMBER, Passing, build_home, build_warehouse, land_batch, passing

from orchestration.closing import finalize, verify
from orchestration.closing.tables import FROZEN_TABLES
from orchestration.errors import GateBlocked, UsageWarehouseError
from orchestration.settings import Settings

FROZEN = (
    "usage_daily", "usage_monthly", "invoice_lines", "invoice_line_tiers", "invoices", "line_allocations",
    "credit_balances", "ledger_reconciliation",
)  # fmt: skip


def snapshot(folder: Path) -> dict[str, str]:
    """Every file's hash, by path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def close_september(settings):
    return finalize(settings, SEPTEMBER, CLOSED_AT, decide=passing(2))


def frozen(settings, table, period=SEPTEMBER):
    file = settings.finalized / f"period={period}" / f"{table}.parquet"
    return duckdb.sql(f"from read_parquet('{file}', hive_partitioning = false)")


def test_the_receipt_names_everything_that_it_rests_on(open_home):
    receipt = json.loads(close_september(open_home).read_text())
    assert receipt["billing_period"] == SEPTEMBER and receipt["cutoff_batch_id"] == 2
    assert receipt["finalized_at"] == "2026-10-05T00:00:00.000000Z"
    assert [table["table"] for table in receipt["tables"]] == list(FROZEN)
    assert [file["path"] for file in receipt["lake_files"]] == [
        "lake/reference/metrics/version=1/part-00000.parquet",
        "lake/reference/metrics/version=2/part-00000.parquet",
        "lake/usage_events/landed_date=2026-10-01/batch=1/part-00000.parquet",
        "lake/usage_events/landed_date=2026-10-02/batch=2/part-00000.parquet",
    ]
    assert [(row["table"], row["version"]) for row in receipt["references"]] == [("metrics", 2)]
    assert [row["batch_id"] for row in receipt["manifests"]] == [1, 2]
    assert receipt["gates"] == [
        {"gate": "conservation_holds", "passed": True, "checked_at": "2026-10-05T00:00:00.000000Z", "observed": "0"}
    ]
    assert receipt["waivers"] == [] and receipt["previous_receipt"] is None


def test_the_frozen_tables_are_the_periods_rows_final_and_in_order(open_home):
    close_september(open_home)
    with duckdb.connect(str(open_home.warehouse), read_only=True) as warehouse:
        for table in FROZEN:
            [schema] = {one.schema for one in FROZEN_TABLES if one.table == table}
            rows = frozen(open_home, table).fetchall()
            # nothing of October has landed yet, so the mart holds September only
            assert len(rows) == warehouse.sql(f"select count(*) from {schema}.{table}").fetchone()[0] > 0
            assert rows == frozen(open_home, table).order("all").fetchall()
    assert {*frozen(open_home, "usage_monthly").select("period_status").fetchall()} == {("final",)}
    assert {*frozen(open_home, "invoice_lines").select("status").fetchall()} == {("final",)}
    assert {*frozen(open_home, "invoices").select("status").fetchall()} == {("final",)}
    assert {*frozen(open_home, "ledger_reconciliation").select("status").fetchall()} == {("matched",)}


def test_only_rows_of_the_period_are_frozen(closed_home):
    for period, other in ((SEPTEMBER, OCTOBER), (OCTOBER, SEPTEMBER)):
        days = {str(day)[:7] for (day,) in frozen(closed_home, "usage_daily", period).select("billing_date").fetchall()}
        lines = frozen(closed_home, "invoice_lines", period).select("line_id, billing_period").fetchall()
        tiers = frozen(closed_home, "invoice_line_tiers", period).select("line_id").fetchall()
        assert days == {period} and {row[1] for row in lines} == {period}
        assert {row[0] for row in tiers} == {row[0] for row in lines}
        assert not {row[0] for row in tiers} & {
            row[0] for row in frozen(closed_home, "invoice_line_tiers", other).select("line_id").fetchall()
        }


def test_wide_integers_stay_exact(open_home):
    """sum() of integers is a 128-bit integer, which Parquet would turn into floating point."""
    with duckdb.connect(str(open_home.warehouse)) as warehouse:
        warehouse.execute(
            "alter table intermediate.int_usage_by_date alter event_count type hugeint using 9007199254740993"
        )
    close_september(open_home)
    assert {str(count) for (count,) in frozen(open_home, "usage_daily").select("event_count").fetchall()} == {
        "9007199254740993"
    }


def test_files_are_read_only_and_folders_tight(open_home):
    folder = close_september(open_home).parent
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o440}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert list(open_home.scratch.glob("finalize*")) == []


def test_closing_twice_changes_nothing(open_home):
    first = close_september(open_home)
    before, written = snapshot(open_home.finalized), first.stat().st_mtime_ns
    build_warehouse(open_home, 1)  # even when the marts would now give other figures
    again = finalize(open_home, SEPTEMBER, datetime(2027, 1, 1, tzinfo=UTC), decide=refusing("never asked"))
    assert again == first and snapshot(open_home.finalized) == before and first.stat().st_mtime_ns == written


def test_the_same_home_gives_the_same_bytes_on_any_number_of_threads(open_home, tmp_path):
    close_september(open_home)
    other = build_home(tmp_path / "elsewhere")
    close_september(dataclasses.replace(other, threads=1))
    assert snapshot(other.finalized) == snapshot(open_home.finalized)


def refusing(*reasons):
    return lambda settings, period, as_of: Passing(2, allowed=False, reasons=list(reasons))


def test_a_blocked_gate_names_every_reason_and_writes_nothing(open_home):
    with pytest.raises(GateBlocked, match="2026-09 stays open: gate a failed; the lateness window is open") as blocked:
        finalize(open_home, SEPTEMBER, decide=refusing("gate a failed", "the lateness window is open"))
    assert blocked.value.exit_code == 3
    assert not open_home.finalized.exists()


def test_the_gates_are_asked_when_nobody_else_is_given(open_home, monkeypatch):
    asked = []

    def may_close(settings, billing_period, as_of):
        asked.append((settings, billing_period, as_of))
        return Passing(2, allowed=False, reasons=["said the gates"])

    monkeypatch.setattr("orchestration.gates.may_close", may_close)
    with pytest.raises(GateBlocked, match="said the gates"):
        finalize(open_home, SEPTEMBER, CLOSED_AT)
    assert asked == [(open_home, SEPTEMBER, CLOSED_AT)]


def test_marts_of_another_batch_than_the_gates_saw_are_not_frozen(open_home):
    with pytest.raises(GateBlocked, match="looked at batch 1, the marts stand at batch 2"):
        finalize(open_home, SEPTEMBER, CLOSED_AT, decide=passing(1))
    assert not open_home.finalized.exists()


def break_lake_file(settings):
    path = next((settings.lake / "usage_events").rglob("*.parquet"))
    path.write_bytes(path.read_bytes() + b"x")


def remove_lake_file(settings):
    next((settings.lake / "usage_events").rglob("*.parquet")).unlink()


def break_manifest(settings):
    (settings.lake / "batches" / "batch=1.json").write_text("{")


def drop_mart(settings):
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute("drop table billing.invoices")


def drop_warehouse(settings):
    settings.warehouse.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_lake_file, "has changed since it landed"),
        (remove_lake_file, "is missing from the lake"),
        (break_manifest, "manifest of the lake cannot be read"),
        (drop_mart, "billing.invoices is missing from the warehouse"),
        (drop_warehouse, "warehouse.duckdb is missing"),
    ],
)
def test_nothing_is_signed_that_is_not_there(open_home, damage, message):
    damage(open_home)
    with pytest.raises(UsageWarehouseError, match=message):
        close_september(open_home)
    assert not open_home.finalized.exists()


@pytest.mark.parametrize("period", ["2026-13", "2026-9", "../2026-09", "2026-09/..", ""])
def test_only_a_month_can_be_closed(open_home, period):
    with pytest.raises(UsageWarehouseError, match="not a billing period"):
        finalize(open_home, period, decide=passing(2))


def test_each_receipt_names_the_one_before_it(closed_home):
    september = closed_home.finalized / f"period={SEPTEMBER}" / "receipt.json"
    october = json.loads((closed_home.finalized / f"period={OCTOBER}" / "receipt.json").read_text())
    assert october["previous_receipt"] == {
        "billing_period": SEPTEMBER,
        "sha256": hashlib.sha256(september.read_bytes()).hexdigest(),
    }


def test_a_month_found_late_is_chained_in_the_order_of_closing(open_home):
    """Usage of a month that nobody had closed turns up after later months were: it must still be closable."""
    land_batch(open_home, 3)
    build_warehouse(open_home, 3)
    finalize(open_home, OCTOBER, CLOSED_AT, decide=passing(3))
    receipt = json.loads(finalize(open_home, SEPTEMBER, CLOSED_AT, decide=passing(3)).read_text())
    assert receipt["previous_receipt"]["billing_period"] == OCTOBER
    assert verify(open_home).problems == []


def test_nothing_is_chained_to_a_damaged_receipt(closed_home):
    shutil.rmtree(closed_home.finalized / f"period={OCTOBER}")
    receipt = closed_home.finalized / f"period={SEPTEMBER}" / "receipt.json"
    receipt.chmod(0o644)
    receipt.write_bytes(receipt.read_bytes().replace(b"0.1.0", b"0.1.1"))
    with pytest.raises(UsageWarehouseError, match="usage verify"):
        finalize(closed_home, OCTOBER, CLOSED_AT, decide=passing(3))


# --- killed at any instant ------------------------------------------------------------------------

CLOSE_IN_A_PROCESS = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from small_home import CLOSED_AT, passing
from orchestration.closing import finalize
from orchestration.settings import Settings
settings = Settings(home=Path({home!r}), memory_limit="512MB", threads=2)
print("ready", flush=True)
finalize(settings, "2026-09", CLOSED_AT, decide=passing(2))
"""


def start_closing(settings: Settings) -> subprocess.Popen:
    script = CLOSE_IN_A_PROCESS.format(tests=str(Path(__file__).parent), home=str(settings.home))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_kill_leaves_nothing_or_the_whole(open_home):
    """SIGKILL at instants spread over the whole close; closing again then gives the undisturbed bytes."""
    started = time.monotonic()
    with start_closing(open_home) as process:
        assert process.wait() == 0
    duration = time.monotonic() - started
    undisturbed = snapshot(open_home.finalized)
    shuffled, killed_before, killed_after = random.Random(7), 0, 0
    for _ in range(8):
        shutil.rmtree(open_home.finalized, ignore_errors=True)
        with start_closing(open_home) as process:
            time.sleep(shuffled.uniform(0, min(duration, 0.25)))
            process.kill()
        if (open_home.finalized / f"period={SEPTEMBER}").exists():
            killed_after += 1
        else:
            killed_before += 1
            assert not open_home.finalized.exists() or list(open_home.finalized.iterdir()) == []
            close_september(open_home)
        assert snapshot(open_home.finalized) == undisturbed
        assert verify(open_home, recompute=False).problems == []
    assert killed_before >= 3

"""A run of the gates: what it stores, that it repeats to the byte, what it shows, and what happens when it breaks."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import pytest
from gates_warehouse import CUTOFF, PERIOD, row_of

from orchestration import child
from orchestration.errors import UsageWarehouseError
from orchestration.gates import GATE_NAMES, gates_aside, may_close, run_gates
from orchestration.settings import PROJECT_ROOT, Settings

AS_OF = datetime(2026, 10, 5, 12, 30, 45, 678, tzinfo=UTC)
ACCOUNT_GAP = "reconciliation_account_gap"

# blue's ledger is 1.11 short of 10.11; acme's invoice is so large that the total gap stays small.
BLUE_OVER = """
    update billing.invoice_lines set precise_amount = 9999, amount = 9999 where line_id = 'L3';
    update billing.invoice_line_tiers set tier_amount = 9999 where line_id = 'L3';
    update billing.invoices set amount = amount + 9900 where account_id = 'acme' and billing_period = '2026-09';
    update staging.stg_reference__finance_ledger set amount = 9999 where entry_id = 'e2';
    update staging.stg_reference__finance_ledger set amount = 9 where entry_id = 'e3';
    update finance.ledger_reconciliation set billed_amount = 9999, ledger_amount = 9999 where sku = 'help';
    update finance.ledger_reconciliation set ledger_amount = 9, difference_amount = 1.11, cause = 'late_usage'
        where account_id = 'blue';
"""


def _waiver(scope: str = "blue", gate: str = ACCOUNT_GAP, period: str = PERIOD, expires: str = "2026-12-31") -> str:
    return (
        "insert into staging.stg_reference__gate_waivers values"
        f" ('{gate}', '{period}', '{scope}', 'booked in October', 'finance-controller', '{expires}');"
    )


def test_the_stored_rows_are_the_returned_ones_in_the_agreed_form(make_home):
    settings = make_home(BLUE_OVER)
    run = run_gates(settings, PERIOD, AS_OF)
    assert run.results_path == settings.gates / "results" / "2026-09-00000002-20261005T123045Z.json"
    text = run.results_path.read_text(encoding="utf-8")
    rows = json.loads(text)
    assert rows == list(run.results)
    assert text == json.dumps(rows, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    assert [row["gate"] for row in rows] == list(GATE_NAMES)
    assert {row["suite"] for row in rows} == {"usage", "billing", "reconciliation"}
    assert {(row["billing_period"], row["cutoff_batch_id"], row["checked_at"]) for row in rows} == {
        (PERIOD, CUTOFF, "2026-10-05T12:30:45Z")
    }
    assert row_of(run, ACCOUNT_GAP) == {
        "gate": ACCOUNT_GAP,
        "billing_period": PERIOD,
        "cutoff_batch_id": CUTOFF,
        "checked_at": "2026-10-05T12:30:45Z",
        "passed": False,
        "observed": "USD blue 12.3333 %",
        "limit": "<= 2 % of the account's ledger, or <= 1 currency unit",
        "whole_period": True,
        "waived": False,
        "waived_by": [],
        "suite": "reconciliation",
        "expectation": "expect_no_breaking_rows",
        "failed_rows": [
            {
                "account_id": "blue",
                "currency_code": "USD",
                "gap_amount": "1.110000",
                "ledger_amount": "9.000000",
                "gap": "12.3333 %",
            }
        ],
        "detail": "It does not hold that no account's breaks are over 2 % of its ledger and over one currency unit. "
        "1 row(s) break it:\n"
        "- account_id=blue, currency_code=USD, gap_amount=1.110000, ledger_amount=9.000000, gap=12.3333 %",
    }
    assert run.blocking == (row_of(run, ACCOUNT_GAP),)
    json.dumps(run.as_dict())


def test_the_same_input_and_time_give_the_same_bytes(make_home):
    change = BLUE_OVER + "update billing.invoices set amount = amount + 1;" + _waiver("kiku")
    first, second = (run_gates(make_home(change, name), PERIOD, AS_OF) for name in ("one", "two"))
    assert first.results_path.read_bytes() == second.results_path.read_bytes()
    again = run_gates(Settings(first.results_path.parents[2], "512MB", 2), PERIOD, AS_OF)
    assert again.results_path == first.results_path
    assert again.results_path.read_bytes() == second.results_path.read_bytes()
    assert [path.name for path in again.results_path.parent.iterdir()] == [again.results_path.name]


def test_only_twenty_rows_are_kept_but_all_are_counted(make_home):
    run = run_gates(
        make_home("""
            insert into billing.unpriced_usage
            select '2026-09', 'a' || n, 'gpu', 'gpu_hours', 'eu', 'basic', '2026-09-01', '2026-09-02', n, 'h', 1
            from range(10, 310) as numbers(n)
        """),
        PERIOD,
        AS_OF,
    )
    row = row_of(run, "no_unpriced_usage")
    assert [shown["account_id"] for shown in row["failed_rows"]] == sorted(f"a{n}" for n in range(10, 310))[:20]
    assert row["observed"] == "300 breaking rows"
    assert "300 row(s) break it, the first 20:" in row["detail"]
    assert len(row["detail"].splitlines()) == 21


def test_data_docs_show_the_last_runs_and_the_breaking_rows(make_home):
    settings = make_home(BLUE_OVER)
    run_gates(settings, PERIOD, datetime(2026, 10, 4, tzinfo=UTC))
    run = run_gates(settings, PERIOD, AS_OF)
    assert run.data_docs == settings.gates / "data_docs" / "index.html"
    index = run.data_docs.read_text(encoding="utf-8")
    pages = sorted(
        path.relative_to(run.data_docs.parent).as_posix()
        for path in (run.data_docs.parent / "validations").rglob("*.html")
    )
    assert len(pages) == 2 * 3
    assert all(page in index for page in pages)
    page = next(page for page in pages if "reconciliation" in page and "20261005T123045" in page)
    text = (run.data_docs.parent / page).read_text(encoding="utf-8")
    assert "1.110000" in text
    assert "no account&#x27;s breaks" in text or "no account's breaks" in text


def test_data_docs_keep_only_the_newest_runs(make_home, monkeypatch):
    monkeypatch.setattr("orchestration.gates.validating.RUNS_IN_DATA_DOCS", 1)
    settings = make_home()
    for day in (4, 5):
        run = run_gates(settings, PERIOD, datetime(2026, 10, day, tzinfo=UTC))
    os.utime(settings.gates / "validations")
    run = run_gates(settings, PERIOD, datetime(2026, 10, 6, tzinfo=UTC))
    pages = [path.as_posix() for path in (run.data_docs.parent / "validations").rglob("*.html")]
    assert len(pages) == 3
    assert all("20261006T" in page for page in pages)
    assert len(list(run.results_path.parent.iterdir())) == 3  # results are never forgotten


def test_pages_of_former_runs_are_rendered_again_only_where_they_are_missing_or_older_than_their_result(make_home):
    settings = make_home()
    for minute in range(3):
        run_gates(settings, PERIOD, AS_OF.replace(minute=minute))
    standing, missing, outdated = sorted((settings.gates / "data_docs" / "validations" / "billing").rglob("*.html"))
    standing.write_text("as it was")
    missing.unlink()
    outdated.write_text("of another result")
    os.utime(outdated, (0, 0))
    run_gates(settings, PERIOD, AS_OF.replace(minute=3))
    assert standing.read_text() == "as it was"
    assert "tiers_sum_to_lines" in missing.read_text()
    assert "tiers_sum_to_lines" in outdated.read_text()


def test_data_docs_that_cannot_be_written_do_not_undo_the_results(make_home):
    settings = make_home()
    (settings.gates).mkdir()
    (settings.gates / "data_docs").write_text("in the way")
    run = run_gates(settings, PERIOD, AS_OF)
    assert run.passed
    assert run.data_docs is None
    assert run.results_path.exists()


def test_a_crash_inside_a_gate_is_a_failure_of_that_gate_with_its_message(make_home):
    change = "drop table billing.currencies;" + _waiver("*", "currencies_known")
    run = run_gates(make_home(change), PERIOD, AS_OF)
    failed = {row["gate"]: row for row in run.results if not row["passed"]}
    assert sorted(failed) == ["amounts_rounded_to_minor_unit", "currencies_known"]
    assert "Table with name currencies does not exist" in failed["currencies_known"]["detail"]
    assert failed["currencies_known"]["observed"] == "error"
    assert failed["currencies_known"]["waived"] is False  # what was not measured cannot be waived
    assert not run.passed


def test_a_crash_of_a_whole_suite_fails_all_its_gates(make_home, monkeypatch):
    def broken():
        raise RuntimeError("the suite is broken")

    from orchestration.gates import catalog

    gates, _ = catalog.SUITES["billing"]
    monkeypatch.setitem(catalog.SUITES, "billing", (gates, broken))
    run = run_gates(make_home(), PERIOD, AS_OF)
    failed = [row for row in run.results if not row["passed"]]
    assert [row["gate"] for row in failed] == [gate.name for gate in gates]
    assert {row["detail"] for row in failed} == {
        "Could not be checked, which counts as failed: the suite is broken",
    }


def test_a_waiver_of_all_breaking_accounts_lets_the_gate_pass(make_home):
    run = run_gates(make_home(BLUE_OVER + _waiver()), PERIOD, AS_OF)
    row = row_of(run, ACCOUNT_GAP)
    assert (row["passed"], row["waived"], row["waived_by"]) == (False, True, ["blue"])
    assert "Waived for blue until 2026-12-31T00:00:00Z by finance-controller: booked in October" in row["detail"]
    assert run.passed
    assert run.waivers == (
        {
            "gate": ACCOUNT_GAP,
            "billing_period": PERIOD,
            "scope": "blue",
            "reason": "booked in October",
            "approved_by": "finance-controller",
            "expires_at": "2026-12-31T00:00:00Z",
        },
    )


@pytest.mark.parametrize(
    "waiver",
    [
        _waiver(expires="2026-10-05 12:30:45"),  # expires at the very second of the run
        _waiver(scope="acme"),
        _waiver(gate="reconciliation_total_gap"),
        _waiver(period="2026-08"),
    ],
    ids=["expired", "another account", "another gate", "another period"],
)
def test_a_waiver_that_does_not_fit_lets_nothing_pass(make_home, waiver):
    run = run_gates(make_home(BLUE_OVER + waiver), PERIOD, AS_OF)
    assert row_of(run, ACCOUNT_GAP)["waived"] is False
    assert not run.passed
    assert run.waivers == ()


def test_a_waiver_covers_every_breaking_row_not_only_the_shown_ones(make_home):
    """21 accounts break the gate, 20 are shown and waived: the 21st still stands in the way."""
    change = """
        insert into billing.unpriced_usage
        select '2026-09', 'a' || n, 'gpu', 'gpu_hours', 'eu', 'basic', '2026-09-01', '2026-09-02', n, 'h', 1
        from range(10, 31) as numbers(n);
    """ + "".join(_waiver(f"a{n}", "no_unpriced_usage") for n in range(10, 30))
    assert not run_gates(make_home(change, "one"), PERIOD, AS_OF).passed
    assert run_gates(make_home(change + _waiver("a30", "no_unpriced_usage"), "two"), PERIOD, AS_OF).passed


def test_rows_of_no_account_need_a_waiver_of_everything(make_home):
    change = "update operations.event_conservation set difference = 1 where batch_id = 2;"
    gate = "conservation_holds"
    assert not run_gates(make_home(change + _waiver("acme", gate), "one"), PERIOD, AS_OF).passed
    assert run_gates(make_home(change + _waiver("*", gate), "two"), PERIOD, AS_OF).passed


def test_a_final_period_is_measured_at_its_own_cutoff(make_home):
    run = run_gates(
        make_home("update operations.event_conservation set difference = 1 where batch_id = 2"), "2026-08", AS_OF
    )
    assert run.cutoff_batch_id == 1
    assert row_of(run, "conservation_holds")["passed"]


def test_the_warehouse_can_be_written_right_after_a_run(make_home):
    settings = make_home("drop table billing.currencies")
    run_gates(settings, PERIOD, AS_OF)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("create table written as select 1")


def test_a_home_with_any_name_works(make_home):
    assert run_gates(make_home("", "naïve home 100%25 #1 $x & {batch}"), PERIOD, AS_OF).passed


def test_nothing_is_printed_and_nothing_is_written_outside_the_home(make_home, tmp_path):
    settings = make_home()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    script = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC;"
        "from orchestration.settings import Settings; from orchestration.gates import run_gates;"
        f"run_gates(Settings(Path({str(settings.home)!r}), '512MB', 1), '{PERIOD}', datetime(2026, 10, 5, tzinfo=UTC))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "HOME": str(elsewhere)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=elsewhere, env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert list(elsewhere.iterdir()) == []
    assert {path.name for path in settings.home.iterdir()} == {"warehouse.duckdb", "gates"}


def test_the_door_opens_without_great_expectations():
    script = "import sys, orchestration.gates; sys.exit('great_expectations' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    assert subprocess.run([sys.executable, "-c", script], env=environment, check=False).returncode == 0


def test_a_process_of_its_own_answers_what_this_one_would(make_home):
    with gates_aside() as aside:
        assert aside(make_home(BLUE_OVER, "one"), PERIOD, AS_OF).results == run_gates(
            make_home(BLUE_OVER, "two"), PERIOD, AS_OF
        ).results  # fmt: skip
        with pytest.raises(UsageWarehouseError, match="not a billing period"):
            aside(make_home("", "three"), "September", AS_OF)
        assert aside(make_home("", "four"), PERIOD, AS_OF).passed


def test_a_process_of_its_own_ends_with_the_run_and_its_death_is_told(make_home, monkeypatch):
    started = []
    monkeypatch.setattr(
        child, "start", lambda *a, _start=child.start, **k: started.append(_start(*a, **k)) or started[-1]
    )
    with gates_aside():
        assert started[0].poll() is None
    assert started[0].poll() is not None
    with (
        pytest.raises(UsageWarehouseError, match="the process that runs the gates ended with code -9"),
        gates_aside() as aside,
    ):
        started[1].kill()
        aside(make_home(), PERIOD, AS_OF)


@pytest.mark.parametrize("period", ["2026-13", "September", "2026-09' or true"])
def test_what_is_no_period_is_refused(make_home, period):
    settings = make_home()
    for door in (run_gates, may_close):
        with pytest.raises(UsageWarehouseError, match="not a billing period"):
            door(settings, period, AS_OF)


def test_without_a_warehouse_the_reason_is_told(tmp_path):
    settings = Settings(home=tmp_path / "nowhere", memory_limit="512MB", threads=1)
    for door in (run_gates, may_close):
        with pytest.raises(UsageWarehouseError, match="usage build"):
            door(settings, PERIOD, AS_OF)


def test_without_batches_there_is_nothing_to_gate(make_home):
    with pytest.raises(UsageWarehouseError, match="nothing has landed"):
        run_gates(make_home("delete from operations.batches"), PERIOD, AS_OF)


def test_a_warehouse_that_was_never_built_is_told_in_one_line(make_home):
    with pytest.raises(UsageWarehouseError, match=r"the gates cannot read .*billing_periods does not exist") as raised:
        run_gates(make_home("drop table billing.billing_periods"), PERIOD, AS_OF)
    assert "\n" not in str(raised.value)

"""What a nightly run's gates look at: the days that came since they passed; and that no period closes on that.

Batch 2 of the sample touches 1 and 5 September. The builds before it had tested batch 1.
"""

import json
from datetime import UTC, datetime

import duckdb
import pytest
from gates_warehouse import PERIOD, row_of

from orchestration.gates import may_close, run_gates
from orchestration.gates.catalog import GATES_BY_DAY

AS_OF = datetime(2026, 10, 5, tzinfo=UTC)
NEXT_NIGHT = datetime(2026, 10, 6, tzinfo=UTC)

BY_HOUR = "update intermediate.int_usage_by_hour set quantity = quantity + 1 where billing_date = '2026-09-{day:02d}';"
FIRST_BUILD = "update intermediate.int_batches_tested set earlier_batch_id = 0;"
A_LEVEL = "insert into intermediate.int_level_changes values ('acme', 'storage', 1);"
# what any change of an hour's quantity breaks
HOURLY = {"postings_sum_to_hourly", "hourly_sums_to_daily"}
WAIVED = f"insert into staging.stg_reference__gate_waivers select unnest({sorted(HOURLY)}), '{PERIOD}', '*', 'known', 'controller', '2026-12-31';"


def _failed(run) -> set[str]:
    return {row["gate"] for row in run.results if not row["passed"]}


def _change(settings, sql: str) -> None:
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(sql)


def test_the_days_that_a_batch_touched_are_looked_at(make_home):
    run = run_gates(make_home(BY_HOUR.format(day=5)), PERIOD, AS_OF, whole=False)
    assert _failed(run) == HOURLY
    assert {row["gate"] for row in run.results if not row["whole_period"]} == set(GATES_BY_DAY)
    assert row_of(run, "usage_daily_unique")["detail"].startswith("It holds from 2026-09-01 to 2026-09-05 that ")
    assert row_of(run, "usage_monthly_unique")["detail"].startswith("It holds that ")


def test_other_days_are_looked_at_before_a_close(make_home):
    settings = make_home(BY_HOUR.format(day=20))
    assert run_gates(settings, PERIOD, AS_OF, whole=False).passed
    whole = run_gates(settings, PERIOD, NEXT_NIGHT)
    assert _failed(whole) == HOURLY
    assert all(row["whole_period"] for row in whole.results)


@pytest.mark.parametrize(
    "change", [FIRST_BUILD, A_LEVEL], ids=["nothing was tested before", "levels move on by themselves"]
)
def test_all_is_looked_at_where_any_day_may_have_changed(make_home, change):
    run = run_gates(make_home(change + BY_HOUR.format(day=20)), PERIOD, AS_OF, whole=False)
    assert _failed(run) == HOURLY
    assert all(row["whole_period"] for row in run.results)


def test_what_failed_is_looked_at_until_it_passes(make_home):
    """The fault is on a day that no later night touches: it must not be forgotten, waived or not."""
    settings = make_home(BY_HOUR.format(day=20))
    assert _failed(run_gates(settings, PERIOD, AS_OF)) == HOURLY
    _change(settings, WAIVED)
    for day in (6, 7):
        run = run_gates(settings, PERIOD, datetime(2026, 10, day, tzinfo=UTC), whole=False)
        assert _failed(run) == HOURLY
        assert run.passed
    _change(settings, BY_HOUR.format(day=20).replace("+ 1", "- 1"))
    mended = run_gates(settings, PERIOD, datetime(2026, 10, 8, tzinfo=UTC), whole=False)
    assert all(row["passed"] and row["whole_period"] for row in mended.results)
    assert not all(
        row["whole_period"]
        for row in run_gates(settings, PERIOD, datetime(2026, 10, 9, tzinfo=UTC), whole=False).results
    )


def test_what_came_since_the_gates_passed_is_looked_at_even_if_a_build_came_between(make_home):
    """Batch 3 was built and tested without gates, then batch 4 with: both are to be looked at."""
    settings = make_home()
    assert run_gates(settings, PERIOD, AS_OF, whole=False).passed
    for batch_id, day in ((3, 20), (4, 10)):
        _change(
            settings,
            f"""
            insert into operations.batches (batch_id, records) values ({batch_id}, 1);
            insert into operations.event_conservation values ({batch_id}, 1, 0, 0, 0, 0, 1, 0);
            insert into intermediate.int_usage_posted
                select {batch_id}, usage_hour, billing_date, account_number, item_id, 0, 0, 0
                from intermediate.int_usage_posted where billing_date = '2026-09-{day}';
            update intermediate.int_batches_tested set tested_batch_id = {batch_id}, earlier_batch_id = {batch_id - 1};
            """,
        )
    _change(settings, BY_HOUR.format(day=20))
    run = run_gates(settings, PERIOD, NEXT_NIGHT, whole=False)
    assert _failed(run) == HOURLY
    assert row_of(run, "usage_daily_unique")["detail"].startswith("It holds from 2026-09-10 to 2026-09-20 that ")


def test_a_night_that_brought_nothing_looks_at_no_day(make_home):
    settings = make_home("update intermediate.int_batches_tested set earlier_batch_id = 2;" + BY_HOUR.format(day=5))
    run = run_gates(settings, PERIOD, AS_OF, whole=False)
    assert run.passed
    assert row_of(run, "usage_daily_unique")["detail"].startswith("It holds (no day has changed) that ")


def test_no_period_closes_on_a_part_of_its_days(make_home):
    settings = make_home()
    run_gates(settings, PERIOD, AS_OF, whole=False)
    decision = may_close(settings, PERIOD, NEXT_NIGHT)
    assert [reason.split()[1] for reason in decision.reasons] == list(GATES_BY_DAY)
    assert decision.reasons[0].endswith(
        "has not looked at the whole period at batch 2, as it does in a run of month-end"
    )
    assert may_close(settings, PERIOD, NEXT_NIGHT, whole=False).allowed
    run_gates(settings, PERIOD, NEXT_NIGHT)
    assert may_close(settings, PERIOD, NEXT_NIGHT).allowed


def test_a_waiver_covers_what_was_seen_not_the_days_that_nobody_looked_at(make_home):
    settings = make_home(BY_HOUR.format(day=5) + WAIVED)
    run = run_gates(settings, PERIOD, AS_OF, whole=False)
    assert _failed(run) == HOURLY
    assert run.passed
    decision = may_close(settings, PERIOD, AS_OF)
    assert [reason.split()[1] for reason in decision.reasons] == list(GATES_BY_DAY)
    assert may_close(settings, PERIOD, AS_OF, whole=False).allowed


def test_results_that_were_stored_before_say_nothing_of_days_and_looked_at_all(make_home):
    settings = make_home()
    run = run_gates(settings, PERIOD, AS_OF)
    rows = [{key: value for key, value in row.items() if key != "whole_period"} for row in run.results]
    run.results_path.write_text(json.dumps(rows), encoding="utf-8")
    assert may_close(settings, PERIOD, AS_OF).allowed


def test_days_are_those_of_the_period(make_home):
    """August's gates see nothing of what batch 2 brought to September."""
    change = "update billing.billing_periods set status = 'provisional', cutoff_batch_id = null where billing_period = '2026-08';"
    run = run_gates(make_home(change), "2026-08", AS_OF, whole=False)
    assert row_of(run, "usage_daily_unique")["detail"].startswith("It holds (no day has changed) that ")

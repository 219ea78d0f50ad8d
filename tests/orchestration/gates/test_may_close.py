"""May a period close? The truth table of the decision, and the facts it is given by a real home."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from gates_warehouse import PERIOD

from orchestration.errors import UsageWarehouseError
from orchestration.gates import GATE_NAMES, may_close, run_gates
from orchestration.gates.deciding import Facts, decide
from orchestration.gates.instants import latest_month_end
from orchestration.gates.storing import StoredRun
from orchestration.gates.waivers import Waiver

GATES = ("first_gate", "second_gate")
CHECKED_AT = datetime(2026, 10, 4, 8, tzinfo=UTC)
# New York's September ends at 04:00 UTC; 72 hours later:
CLOSES = datetime(2026, 10, 4, 4, tzinfo=UTC)
AS_OF = datetime(2026, 10, 5, tzinfo=UTC)


def _row(gate: str, **changes) -> dict:
    return {
        "gate": gate,
        "billing_period": PERIOD,
        "cutoff_batch_id": 7,
        "passed": True,
        "waived": False,
        "waived_by": [],
        "observed": "3 breaking rows",
        "limit": "0",
        "detail": "It does not hold that a is b. 3 row(s) break it:\n- a=1\n- a=2\n- a=3\n- a=4",
        **changes,
    }


def _run(*rows: dict, checked_at: datetime = CHECKED_AT) -> StoredRun:
    return StoredRun(checked_at, rows)


GOOD_RUN = _run(*(_row(gate) for gate in GATES))
WAIVER = Waiver("first_gate", PERIOD, "acme", "reason", "finance-controller", AS_OF + timedelta(days=1))
WAIVED_RUN = _run(_row("first_gate", passed=False, waived=True, waived_by=["acme"]), _row("second_gate"))

FACTS = Facts(
    billing_period=PERIOD,
    as_of=AS_OF,
    cutoff_batch_id=7,
    timezones=frozenset({"Asia/Kolkata", "America/New_York", "UTC"}),
    billed_periods=frozenset({"2026-08", "2026-09", "2026-10"}),
    statuses={"2026-08": "final", "2026-09": "provisional", "2026-10": "open"},
    runs={7: [GOOD_RUN]},
    waivers=(),
)

ALLOWED = {
    "all is well": {},
    "at the very end of the window": {
        "as_of": CLOSES,
        "runs": {7: [_run(*GOOD_RUN.rows, checked_at=CLOSES - timedelta(hours=1))]},
    },
    "earlier periods without usage do not count": {
        "statuses": {"2026-07": "provisional", "2026-08": "final", "2026-09": "provisional"}
    },
    "later periods do not count": {"billed_periods": frozenset({"2026-08", "2026-09", "2026-11"})},
    "a bad run was mended by a later one": {
        "runs": {7: [_run(_row("first_gate", passed=False), checked_at=CHECKED_AT - timedelta(hours=1)), GOOD_RUN]}
    },
    "a bad run of a later time is not known yet": {
        "runs": {7: [GOOD_RUN, _run(_row("first_gate", passed=False), checked_at=AS_OF + timedelta(hours=1))]}
    },
    "a failed gate is waived": {"runs": {7: [WAIVED_RUN]}, "waivers": (WAIVER,)},
    "gates that nobody asks for do not count": {
        "runs": {7: [_run(*GOOD_RUN.rows, _row("a_retired_gate", passed=False))]}
    },
    "without accounts the month ends in UTC": {"timezones": frozenset()},
}


@pytest.mark.parametrize("changes", ALLOWED.values(), ids=ALLOWED.keys())
def test_the_period_may_close(changes):
    decision = decide(replace(FACTS, **changes), GATES)
    assert decision.reasons == []
    assert decision.allowed
    assert decision.cutoff_batch_id == 7


REFUSED = {
    "the window is open for another second": (
        {"as_of": CLOSES - timedelta(seconds=1), "runs": {7: [_run(*GOOD_RUN.rows, checked_at=CLOSES - timedelta(1))]}},
        ["2026-09 still waits for late usage: the last account's month ends 2026-10-01T04:00:00Z, and the lateness "
         "window of 72 hours is over 2026-10-04T04:00:00Z"],
    ),
    "an earlier period with usage is not final": (
        {"statuses": {"2026-08": "provisional"}, "billed_periods": frozenset({"2026-07", "2026-08", "2026-09"})},
        ["earlier billed periods are not final yet: 2026-07, 2026-08"],
    ),
    "the period is final": (
        {"statuses": {"2026-08": "final", "2026-09": "final"}},
        ["2026-09 is final already and closes only once"],
    ),
    "the period has no usage": (
        {"billed_periods": frozenset({"2026-08"})},
        ["nothing is used or billed in 2026-09, so there is nothing to close"],
    ),
    "nothing has landed": ({"cutoff_batch_id": None, "runs": {}}, ["nothing has landed yet"]),
    "no gate ever ran": ({"runs": {}}, ["the gates have not run at the current cutoff, batch 7"]),
    "the gates ran at an earlier cutoff": (
        {"runs": {5: [GOOD_RUN], 6: [GOOD_RUN]}},
        ["the gates have not run at the current cutoff, batch 7; the last run was at batch 6"],
    ),
    "the gates ran only later": (
        {"runs": {7: [_run(*GOOD_RUN.rows, checked_at=AS_OF + timedelta(seconds=1))]}},
        ["the gates of batch 7 ran only later, at 2026-10-05T00:00:01Z, than the time of this decision"],
    ),
    "a gate is missing": (
        {"runs": {7: [_run(_row("second_gate"))]}},
        ["gate first_gate has no stored result at batch 7"],
    ),
    "the rows are of another period": (
        {"runs": {7: [_run(_row("first_gate", billing_period="2026-08"), _row("second_gate"))]}},
        ["gate first_gate has no stored result at batch 7"],
    ),
    "the rows are of another cutoff": (
        {"runs": {7: [_run(_row("first_gate", cutoff_batch_id=6), _row("second_gate"))]}},
        ["gate first_gate has no stored result at batch 7"],
    ),
    "a gate failed": (
        {"runs": {7: [_run(_row("first_gate", passed=False), _row("second_gate"))]}},
        ["gate first_gate failed (observed 3 breaking rows; limit 0). It does not hold that a is b. 3 row(s) break it: "
         "- a=1 - a=2 - a=3 …"],
    ),
    "a mended gate failed again": (
        {"runs": {7: [GOOD_RUN, _run(_row("first_gate", passed=False, detail="Bad."), _row("second_gate"),
                                     checked_at=CHECKED_AT + timedelta(seconds=1))]}},
        ["gate first_gate failed (observed 3 breaking rows; limit 0). Bad."],
    ),
    "passed is something else than true": (
        {"runs": {7: [_run(_row("first_gate", passed="false", detail="Bad."), _row("second_gate"))]}},
        ["gate first_gate failed (observed 3 breaking rows; limit 0). Bad."],
    ),
    "the waiver expired since": (
        {"runs": {7: [WAIVED_RUN]}, "waivers": (replace(WAIVER, expires_at=AS_OF),)},
        ["gate first_gate failed, and its waiver for acme is not valid any more"],
    ),
    "the waiver is gone": (
        {"runs": {7: [WAIVED_RUN]}},
        ["gate first_gate failed, and its waiver for acme is not valid any more"],
    ),
    "the waiver is of another gate": (
        {"runs": {7: [WAIVED_RUN]}, "waivers": (replace(WAIVER, gate="second_gate"),)},
        ["gate first_gate failed, and its waiver for acme is not valid any more"],
    ),
    "waived by nobody": (
        {"runs": {7: [_run(_row("first_gate", passed=False, waived=True), _row("second_gate"))]}, "waivers": (WAIVER,)},
        ["gate first_gate failed, and its waiver for nobody is not valid any more"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "reasons"), REFUSED.values(), ids=REFUSED.keys())
def test_the_period_may_not_close(changes, reasons):
    decision = decide(replace(FACTS, **changes), GATES)
    assert decision.reasons == reasons
    assert not decision.allowed


def test_a_running_period_says_so():
    decision = decide(replace(FACTS, as_of=datetime(2026, 9, 30, tzinfo=UTC)), GATES)
    assert decision.reasons[0].startswith("2026-09 has not ended yet: ")


def test_all_reasons_are_told_at_once():
    facts = replace(
        FACTS, as_of=datetime(2026, 9, 30, tzinfo=UTC), billed_periods=frozenset({"2026-08"}), statuses={}, runs={}
    )
    assert len(decide(facts, GATES).reasons) == 4


def test_the_decision_carries_the_rows_and_waivers_it_rests_on():
    decision = decide(replace(FACTS, runs={7: [WAIVED_RUN]}, waivers=(WAIVER, replace(WAIVER, scope="blue"))), GATES)
    assert decision.results == list(WAIVED_RUN.rows)
    assert decision.waivers == [WAIVER.as_dict()]
    assert json.loads(json.dumps(decision.as_dict()))["allowed"] is True


@pytest.mark.parametrize(
    ("zones", "end"),
    [
        ({"Asia/Kolkata"}, datetime(2026, 10, 31, 18, 30, tzinfo=UTC)),
        ({"Asia/Kolkata", "America/New_York"}, datetime(2026, 11, 1, 4, tzinfo=UTC)),  # still daylight saving time
        ({"Pacific/Auckland"}, datetime(2026, 10, 31, 11, tzinfo=UTC)),
        ({"Pacific/Auckland", "UTC"}, datetime(2026, 11, 1, tzinfo=UTC)),
        (set(), datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_the_month_ends_when_it_ends_for_the_last_account(zones, end):
    assert latest_month_end(date(2026, 11, 1), zones) == end


def test_a_home_closes_on_the_stored_results_of_its_own_cutoff(make_home):
    settings = make_home()
    as_of = datetime(2026, 10, 5, tzinfo=UTC)
    assert may_close(settings, PERIOD, as_of).reasons == ["the gates have not run at the current cutoff, batch 2"]
    run = run_gates(settings, PERIOD, as_of)
    decision = may_close(settings, PERIOD, as_of)
    assert (decision.allowed, decision.reasons, decision.cutoff_batch_id) == (True, [], 2)
    assert decision.results == list(run.results)
    # A stored result that was taken out, and one that was changed to a failure.
    rows = json.loads(run.results_path.read_text(encoding="utf-8"))
    rows[1]["passed"] = False
    run.results_path.write_text(json.dumps(rows[1:]), encoding="utf-8")
    reasons = may_close(settings, PERIOD, as_of).reasons
    assert reasons[0] == f"gate {GATE_NAMES[0]} has no stored result at batch 2"
    assert reasons[1].startswith(f"gate {GATE_NAMES[1]} failed")
    assert len(reasons) == 2


def test_a_home_that_is_not_ready_gives_its_reasons(make_home):
    settings = make_home("insert into operations.batches (batch_id, records) values (3, 0)")
    assert may_close(settings, "2026-08", AS_OF).reasons[0] == "2026-08 is final already and closes only once"
    assert "batch 3" in may_close(settings, PERIOD, AS_OF).reasons[0]
    october = may_close(settings, "2026-10", AS_OF).reasons
    assert october[0].startswith("2026-10 has not ended yet")
    assert october[1] == "earlier billed periods are not final yet: 2026-09"
    assert (
        may_close(settings, "2031-01", AS_OF).reasons[0]
        == "nothing is used or billed in 2031-01, so there is nothing to close"
    )


def test_an_unreadable_result_is_named(make_home):
    settings = make_home()
    run = run_gates(settings, PERIOD, AS_OF)
    run.results_path.write_text("[{", encoding="utf-8")
    with pytest.raises(UsageWarehouseError, match=run.results_path.name):
        may_close(settings, PERIOD, AS_OF)

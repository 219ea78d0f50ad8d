"""May a period close? A pure decision on facts (rules 18 and 19), and the thin reader that gathers them.

It trusts nothing that was said in an earlier run: it re-reads the stored results of exactly the cutoff that would be
closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from expectations.gate import Scope
from orchestration.gates.catalog import GATE_NAMES
from orchestration.gates.instants import LATENESS, as_text, latest_month_end
from orchestration.gates.reading import (
    open_warehouse,
    read_billed_periods,
    read_current_cutoff,
    read_periods,
    read_timezones,
    read_waivers,
)
from orchestration.gates.running import check_period
from orchestration.gates.storing import StoredRun, read_runs
from orchestration.gates.waivers import Waiver, valid_waivers
from orchestration.settings import Settings, now

ROWS_IN_A_REASON = 3


@dataclass(frozen=True)
class Facts:
    """All that the decision rests on, as of `as_of`; `whole`: gates must have looked at the whole period.

    `cutoff_batch_id` is None when nothing has landed. `statuses` are those of billing.billing_periods. `runs` are the
    stored gate runs of the period, by cutoff, oldest first.
    """

    billing_period: str
    as_of: datetime
    cutoff_batch_id: int | None
    timezones: frozenset[str]
    billed_periods: frozenset[str]
    statuses: dict[str, str]
    runs: dict[int, list[StoredRun]]
    waivers: tuple[Waiver, ...]
    whole: bool = True


@dataclass(frozen=True)
class Decision:
    """Whether a period may close. `reasons` say all that stands in the way, one sentence each; empty when allowed.

    `results` are the stored rows of the gate run that it rests on, `waivers` the gate_waivers rows that let it pass.
    """

    allowed: bool
    reasons: list[str]
    cutoff_batch_id: int | None
    results: list[dict[str, Any]]
    waivers: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "allowed": self.allowed,
            "reasons": list(self.reasons),
            "cutoff_batch_id": self.cutoff_batch_id,
            "results": list(self.results),
            "waivers": list(self.waivers),
        }


def may_close(settings: Settings, billing_period: str, as_of: datetime | None = None, whole: bool = True) -> Decision:
    """Whether `billing_period` (`YYYY-MM`) may close. Raises UsageWarehouseError if the facts cannot be read.

    Not `whole`: whether it could, as far as a nightly run sees, whose gates look at what came since they passed.
    """
    check_period(billing_period)
    return decide(_read_facts(settings, billing_period, now(as_of), whole), GATE_NAMES)


def _read_facts(settings: Settings, billing_period: str, as_of: datetime, whole: bool) -> Facts:
    with open_warehouse(settings) as connection:
        return Facts(
            billing_period=billing_period,
            as_of=as_of,
            cutoff_batch_id=read_current_cutoff(connection),
            timezones=read_timezones(connection),
            billed_periods=read_billed_periods(connection),
            statuses={period: status for period, (status, _) in read_periods(connection).items()},
            runs=read_runs(settings, billing_period),
            waivers=read_waivers(connection, billing_period),
            whole=whole,
        )


def decide(facts: Facts, expected_gates: Sequence[str]) -> Decision:
    """The decision itself: every condition of rule 18 is checked, so that one call names all that is missing."""
    run = _run_to_rest_on(facts)
    gate_reasons, waivers = _check_gates(facts, run, expected_gates)
    reasons = [*_check_period_itself(facts), *_check_lateness(facts), *_check_earlier_periods(facts), *gate_reasons]
    return Decision(
        allowed=not reasons,
        reasons=reasons,
        cutoff_batch_id=facts.cutoff_batch_id,
        results=list(run.rows) if run else [],
        waivers=[waiver.as_dict() for waiver in waivers],
    )


def _check_period_itself(facts: Facts) -> list[str]:
    period = facts.billing_period
    if facts.statuses.get(period) == "final":
        return [f"{period} is final already and closes only once"]
    if period not in facts.billed_periods:
        return [f"nothing is used or billed in {period}, so there is nothing to close"]
    return []


def _check_lateness(facts: Facts) -> list[str]:
    month_end = latest_month_end(Scope(facts.billing_period, 0).next_date, facts.timezones)
    closes = month_end + LATENESS
    if facts.as_of >= closes:
        return []
    state = "has not ended yet" if facts.as_of < month_end else "still waits for late usage"
    return [
        f"{facts.billing_period} {state}: the last account's month ends {as_text(month_end)}, and the lateness window "
        f"of 72 hours is over {as_text(closes)}"
    ]


def _check_earlier_periods(facts: Facts) -> list[str]:
    still_open = sorted(
        period
        for period in facts.billed_periods
        if period < facts.billing_period and facts.statuses.get(period) != "final"
    )
    return [f"earlier billed periods are not final yet: {', '.join(still_open)}"] if still_open else []


def _run_to_rest_on(facts: Facts) -> StoredRun | None:
    """The latest run of the current cutoff that was known as of the decision's time."""
    known = [run for run in facts.runs.get(facts.cutoff_batch_id, []) if run.checked_at <= facts.as_of]
    return max(known, key=lambda run: run.checked_at, default=None)


def _check_gates(facts: Facts, run: StoredRun | None, expected_gates: Sequence[str]) -> tuple[list[str], list[Waiver]]:
    if facts.cutoff_batch_id is None:
        return ["nothing has landed yet"], []
    if run is None:
        return [_no_run(facts)], []
    rows = {row["gate"]: row for row in run.rows if _is_of(row, facts)}
    reasons, waivers = [], []
    for gate in expected_gates:
        reason, used = _check_gate(facts, gate, rows.get(gate))
        reasons += reason
        waivers += used
    return reasons, waivers


def _is_of(row: dict[str, Any], facts: Facts) -> bool:
    """A row counts only for the period and cutoff that it names itself, whatever its file is called."""
    return (row["billing_period"], row["cutoff_batch_id"]) == (facts.billing_period, facts.cutoff_batch_id)


def _no_run(facts: Facts) -> str:
    cutoff, found = facts.cutoff_batch_id, sorted(facts.runs)
    if cutoff in facts.runs:
        first = as_text(min(run.checked_at for run in facts.runs[cutoff]))
        return f"the gates of batch {cutoff} ran only later, at {first}, than the time of this decision"
    known = f"; the last run was at batch {found[-1]}" if found else ""
    return f"the gates have not run at the current cutoff, batch {cutoff}{known}"


def _check_gate(facts: Facts, gate: str, row: dict[str, Any] | None) -> tuple[list[str], list[Waiver]]:
    if row is None:
        return [f"gate {gate} has no stored result at batch {facts.cutoff_batch_id}"], []
    if row["passed"] is True:
        return _not_whole(facts, row), []
    if row["waived"] is not True:
        return [
            f"gate {gate} failed (observed {row['observed']}; limit {row['limit']}). {_in_one_line(row['detail'])}"
        ], []
    valid = valid_waivers(facts.waivers, gate, facts.billing_period, facts.as_of)
    gone = [scope for scope in row["waived_by"] if scope not in valid]
    if gone or not row["waived_by"]:
        return [f"gate {gate} failed, and its waiver for {', '.join(gone) or 'nobody'} is not valid any more"], []
    return _not_whole(facts, row), [valid[scope] for scope in row["waived_by"]]


def _not_whole(facts: Facts, row: dict[str, Any]) -> list[str]:
    """A nightly run looked at some days only. What was stored before there were such runs looked at all."""
    if row.get("whole_period", True) is True or not facts.whole:
        return []
    return [
        f"gate {row['gate']} has not looked at the whole period at batch {facts.cutoff_batch_id}, as it does in a run of month-end"
    ]


def _in_one_line(detail: str) -> str:
    """The sentence of a failed gate with its first rows; the stored result holds the rest."""
    lines = detail.splitlines()
    shown = lines[: 1 + ROWS_IN_A_REASON]
    return " ".join(shown) + (" …" if len(lines) > len(shown) else "")

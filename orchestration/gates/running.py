"""Runs all gates of a period on the warehouse, applies waivers, stores the result rows and writes the page."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from expectations.gate import PERIOD, Scope
from orchestration.errors import UsageWarehouseError
from orchestration.gates.catalog import GATES_BY_DAY
from orchestration.gates.instants import as_text, to_the_second
from orchestration.gates.page import write_page
from orchestration.gates.reading import (
    open_warehouse,
    read_current_cutoff,
    read_days_touched,
    read_periods,
    read_tested_before,
    read_waivers,
)
from orchestration.gates.storing import read_last_runs, store
from orchestration.gates.validating import Outcome, validate
from orchestration.gates.waivers import Waiver, covering, valid_waivers
from orchestration.settings import Settings, now


@dataclass(frozen=True)
class GateRun:
    """One run of all gates. `passed`: every gate passed or is waived. `results` are the stored rows, one per gate.

    `waivers` are the gate_waivers rows that were used. `page` is the page of all periods' last runs, which needs no
    internet; `data_docs` the index page of Great Expectations, which does. Either is None if it could not be written.
    """

    billing_period: str
    cutoff_batch_id: int
    checked_at: datetime
    passed: bool
    results: tuple[dict[str, Any], ...]
    waivers: tuple[dict[str, Any], ...]
    results_path: Path
    data_docs: Path | None
    page: Path | None

    @property
    def blocking(self) -> tuple[dict[str, Any], ...]:
        """The rows of the gates that failed and are not waived."""
        return tuple(row for row in self.results if not (row["passed"] or row["waived"]))

    def as_dict(self) -> dict[str, Any]:
        return {
            "billing_period": self.billing_period,
            "cutoff_batch_id": self.cutoff_batch_id,
            "checked_at": as_text(self.checked_at),
            "passed": self.passed,
            "results": list(self.results),
            "waivers": list(self.waivers),
            "results_path": str(self.results_path),
            "data_docs": str(self.data_docs) if self.data_docs else None,
            "page": str(self.page) if self.page else None,
        }


def run_gates(settings: Settings, billing_period: str, as_of: datetime | None = None, whole: bool = True) -> GateRun:
    """Measure every gate of `billing_period` (`YYYY-MM`) on warehouse.duckdb, store the rows, write Data Docs and page.

    The cutoff is the greatest batch; a period that is final already is measured at its own cutoff, since its marts
    show no more. `whole` looks at the whole period, as a close asks for; else gates by day look at what came since they
    passed. A gate that fails is a result, not an error. Raises UsageWarehouseError when there is nothing to measure.
    """
    scope, waivers = _read_scope(settings, billing_period, whole)
    checked_at = to_the_second(now(as_of))
    outcomes, data_docs = validate(settings, scope, checked_at)
    rows, used = [], []
    for outcome in outcomes:
        covers = _waivers_of(outcome, waivers, scope, checked_at)
        used += covers
        rows.append(result_row(outcome, scope, checked_at, covers))
    results_path = store(settings, scope, checked_at, rows)
    return GateRun(
        billing_period=billing_period,
        cutoff_batch_id=scope.cutoff_batch_id,
        checked_at=checked_at,
        passed=all(row["passed"] or row["waived"] for row in rows),
        results=tuple(rows),
        waivers=tuple(waiver.as_dict() for waiver in used),
        results_path=results_path,
        data_docs=data_docs,
        page=_write_page(settings),
    )


def _write_page(settings: Settings) -> Path | None:
    """A page that cannot be written must not undo a stored result: it is logged."""
    try:
        return write_page(settings)
    except Exception as error:
        logging.getLogger(__name__).error("the gates ran, but their page could not be written: %s", error)
        return None


def _read_scope(settings: Settings, billing_period: str, whole: bool) -> tuple[Scope, tuple[Waiver, ...]]:
    check_period(billing_period)
    with open_warehouse(settings) as connection:
        status, own_cutoff = read_periods(connection).get(billing_period, ("open", None))
        cutoff = own_cutoff if status == "final" else read_current_cutoff(connection)
        if cutoff is None:
            raise UsageWarehouseError("nothing has landed yet, so there is nothing to gate: run `usage land` first")
        scope = Scope(billing_period, cutoff)
        since = 0 if whole else _passed_until(settings, billing_period, read_tested_before(connection))
        if since:
            scope = replace(scope, days=read_days_touched(connection, scope, since))
        return scope, read_waivers(connection, billing_period)


def _passed_until(settings: Settings, billing_period: str, tested_before: int) -> int:
    """The batch up to which the gates by day need not look again; 0: none.

    What the last build brought has to be looked at; what was there before was looked at the night it came: by data
    tests while the period ran, by the gates since. Where one of these did not pass, they look at the whole until it does.
    """
    runs = read_last_runs(settings, 1, billing_period).get(billing_period)
    if not runs:
        return tested_before
    [(cutoff, run)] = runs
    passed = {row["gate"] for row in run.rows if row["passed"] is True}
    return min(tested_before, cutoff) if passed.issuperset(GATES_BY_DAY) else 0


def check_period(billing_period: str) -> None:
    """Raises UsageWarehouseError for what is no `YYYY-MM`."""
    if not PERIOD.fullmatch(billing_period):
        raise UsageWarehouseError(f"not a billing period (YYYY-MM): {billing_period!r}")


def _waivers_of(outcome: Outcome, waivers: tuple[Waiver, ...], scope: Scope, checked_at: datetime) -> list[Waiver]:
    """The waivers that let a failed gate pass. A crash was not measured: nobody can waive what nobody knows."""
    if outcome.passed or outcome.error:
        return []
    valid = valid_waivers(waivers, outcome.gate.name, scope.billing_period, checked_at)
    return covering(valid, outcome.accounts)


def result_row(outcome: Outcome, scope: Scope, checked_at: datetime, waivers: list[Waiver]) -> dict[str, Any]:
    """The stored row of one gate. `waived_by` lists the scopes of the waivers it rests on."""
    return {
        "gate": outcome.gate.name,
        "billing_period": scope.billing_period,
        "cutoff_batch_id": scope.cutoff_batch_id,
        "checked_at": as_text(checked_at),
        "passed": outcome.passed,
        "observed": outcome.observed,
        "limit": outcome.gate.limit,
        "whole_period": _looked_at_all(outcome, scope),
        "waived": bool(waivers),
        "waived_by": [waiver.scope for waiver in waivers],
        "suite": outcome.suite,
        "expectation": outcome.expectation,
        "failed_rows": list(outcome.rows),
        "detail": _detail(outcome, waivers, scope),
    }


def _looked_at_all(outcome: Outcome, scope: Scope) -> bool:
    """Whether what came of a gate is true of the whole period."""
    return scope.days is None or not outcome.gate.by_day


def _days(scope: Scope) -> str:
    """The days that gates by day looked at, in words. The others were looked at before."""
    first, until = scope.days
    return f"from {first} to {until - timedelta(days=1)}" if first < until else "(no day has changed)"


def _detail(outcome: Outcome, waivers: list[Waiver], scope: Scope) -> str:
    """What happened, for a person who has only this text."""
    if outcome.passed:
        within = "" if _looked_at_all(outcome, scope) else f" {_days(scope)}"
        return f"It holds{within} that {outcome.gate.proves}."
    if outcome.error:
        return f"Could not be checked, which counts as failed: {outcome.error}"
    shown = [", ".join(f"{key}={value}" for key, value in row.items()) for row in outcome.rows]
    beyond = outcome.row_count - len(shown)
    lines = [
        f"It does not hold that {outcome.gate.proves}. {outcome.row_count} row(s) break it"
        + (f", the first {len(shown)}:" if beyond else ":"),
        *(f"- {row}" for row in shown),
        *(
            f"Waived for {waiver.scope} until {as_text(waiver.expires_at)} by {waiver.approved_by}: {waiver.reason}"
            for waiver in waivers
        ),
    ]
    return "\n".join(lines)

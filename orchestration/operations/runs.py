"""The two runs of the house as plain functions: the same steps that the Dagster jobs run, for the command line and for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestration import closing, gates, landing, publishing, warehouse
from orchestration.errors import GateBlocked
from orchestration.gates import Decision, GateRun, RunGates
from orchestration.settings import DBT_PROJECT, Settings

# Told what is being done, and how far it is.
Progress = Callable[[str, int], None]

# What reads the stored gate results, and what reads anything of a receipt: all that a close changes. Before the first close
# these models are empty ones, which know no files: leaving one out would publish the closed period without its lines.
AFTER_GATES = ["stg_gates__results+"]
AFTER_CLOSE = [f"{model.stem}+" for model in sorted((DBT_PROJECT / "models" / "staging" / "finalized").glob("*.sql"))]


@dataclass(frozen=True)
class Nightly:
    """What a nightly run did. `gate_runs` holds the last gates of each period that is over but not closed."""

    landed: landing.LandingResult
    build: warehouse.BuildResult
    gate_runs: tuple[GateRun, ...]
    published: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "landed": self.landed.as_dict(),
            "build": self.build.as_dict(),
            "gates": [run.as_dict() for run in self.gate_runs],
            "published": [str(path) for path in self.published],
        }


@dataclass(frozen=True)
class MonthEnd:
    """What a month-end run did. `already_final`: the period was closed before, nothing changed; then there is no gate run."""

    billing_period: str
    already_final: bool
    receipt: Path
    gate_run: GateRun | None
    published: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "billing_period": self.billing_period,
            "already_final": self.already_final,
            "receipt": str(self.receipt),
            "gates": self.gate_run.as_dict() if self.gate_run else None,
            "published": [str(path) for path in self.published],
        }


def land_inbox(settings: Settings, as_of: datetime | None, progress: Progress | None) -> landing.LandingResult:
    """Land what lies in the home's inbox; an empty or absent inbox brings nothing."""
    for part in ("events", "reference"):
        (settings.inbox / part).mkdir(parents=True, exist_ok=True)
    return landing.land(settings, None, as_of, progress)


def nightly(settings: Settings, as_of: datetime | None = None, progress: Progress | None = None) -> Nightly:
    """Land the inbox, bring the marts up to date, run the gates of periods that wait for their close, publish provisional figures.

    A failing gate does not stop it: figures that are not final are published as provisional, with the gates' results beside them.
    """
    with gates.gates_aside() as run_gates, publishing.copied_ahead(settings) as ahead:
        landed = land_inbox(settings, as_of, progress)
        build = warehouse.build(settings, as_of, compact=False, on_progress=progress)
        with publishing.begun(settings, compare_closed=False, ahead=ahead.result()) as publication:
            runs = check_waiting(settings, as_of, progress, run_gates)
            publication.settle()
            if runs:
                warehouse.build(settings, as_of, select=AFTER_GATES, compact=False)
            if progress:
                progress("publish", 0)
            return Nightly(landed, build, runs, tuple(publication.finish()))


def month_end(
    settings: Settings, billing_period: str, as_of: datetime | None = None, progress: Progress | None = None
) -> MonthEnd:
    """Build, gate, close and publish one period. Raises GateBlocked with every reason where it may not close; it then stays provisional.

    A period that is final stays as it is: running month-end again changes nothing.
    """
    closing.check_period(billing_period)
    with gates.gates_aside() as run_gates:
        warehouse.build(settings, as_of, on_progress=progress)
        receipt = settings.finalized / f"period={billing_period}" / "receipt.json"
        if receipt.exists():
            return MonthEnd(billing_period, True, receipt, None, publish(settings, progress))
        gate_run, decision = gate(settings, billing_period, as_of, progress, run_gates)
    if not decision.allowed:
        raise GateBlocked(why_not(billing_period, decision))
    receipt = close(settings, billing_period, as_of)
    return MonthEnd(billing_period, False, receipt, gate_run, publish(settings, progress))


def gate(
    settings: Settings,
    billing_period: str,
    as_of: datetime | None,
    progress: Progress | None,
    run_gates: RunGates = gates.run_gates,
) -> tuple[GateRun, Decision]:
    """Run the gates of one period and ask whether it may close. Where it may not, its provisional figures are published with the gates' results."""
    gate_run = _check(settings, billing_period, as_of, progress, run_gates, whole=True)
    warehouse.build(settings, as_of, select=AFTER_GATES)
    decision = gates.may_close(settings, billing_period, as_of)
    if not decision.allowed:
        publish(settings, progress)
    return gate_run, decision


def close(settings: Settings, billing_period: str, as_of: datetime | None) -> Path:
    """Close one period and bring the marts up to date with its receipt, which is returned. Asks the stored gates itself: raises GateBlocked."""
    receipt = closing.finalize(settings, billing_period, as_of)
    warehouse.build(settings, as_of, select=AFTER_CLOSE)
    return receipt


def check_waiting(
    settings: Settings, as_of: datetime | None, progress: Progress | None, run_gates: RunGates = gates.run_gates
) -> tuple[GateRun, ...]:
    """Run and store the gates of each period that waits for its close; by day, they look at what came since they passed."""
    return tuple(
        _check(settings, period, as_of, progress, run_gates, whole=False) for period in periods_waiting(settings)
    )


def _check(
    settings: Settings,
    billing_period: str,
    as_of: datetime | None,
    progress: Progress | None,
    run_gates: RunGates,
    whole: bool,
) -> GateRun:
    """Run and store the gates of one period."""
    if progress:
        progress(f"gates of {billing_period}", 0)
    return run_gates(settings, billing_period, as_of, whole)


def publish(settings: Settings, progress: Progress | None) -> tuple[Path, ...]:
    """Put the published files in place."""
    if progress:
        progress("publish", 0)
    return tuple(publishing.publish(settings))


def periods_waiting(settings: Settings) -> list[str]:
    """Periods with usage or lines that are over and not closed, earliest first."""
    with warehouse.read(settings) as connection:
        rows = connection.execute(
            "select billing_period from billing.billing_periods where status = 'provisional' "
            "and (has_usage or billing_period in (select billing_period from billing.invoice_lines)) order by 1"
        ).fetchall()
    return [period for (period,) in rows]


def why_not(billing_period: str, decision: Decision) -> str:
    """One line that says all that stands in the way of a close."""
    return f"{billing_period} stays provisional: " + "; ".join(decision.reasons)

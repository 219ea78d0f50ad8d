"""The close as assets: gates as blocking checks, then the receipt of a period, one partition per month.

Blocking holds inside one run only. So finalization re-reads the stored gate results itself (rule 19): started alone it
goes round nothing.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration import operations
from orchestration.closing.tables import FROZEN_TABLES
from orchestration.gates import GATE_NAMES, Decision, GateRun, may_close
from orchestration.gates.catalog import SUITES
from orchestration.operations import runs
from orchestration.scheduling.project import EARLIER_CLOSES, Project
from orchestration.scheduling.running import POOL, Clock, table, writer
from orchestration.settings import Settings, load_settings

# A period can be started here once its month is over in UTC; earlier ones than these are closed with `usage month-end`.
MONTHS = dg.MonthlyPartitionsDefinition(start_date="2020-01", fmt="%Y-%m", timezone="UTC")

RESULTS = dg.AssetKey(["gates", "results"])
PERIOD = dg.AssetKey(["finalized", "period"])
GATE_RESULTS = dg.AssetKey(["operations", "gate_results"])
PUBLISHED = (dg.AssetKey(["published", "finance"]), dg.AssetKey(["published", "analyst"]))

# What the decision reads beside the stored results: states, time zones, waivers.
READ_BY_DECISION = {
    ("billing", "billing_periods"),
    ("staging", "stg_reference__accounts"),
    ("staging", "stg_reference__gate_waivers"),
}
RELATION = re.compile(r"\b(staging|intermediate|usage|billing|finance|operations)\.(\w+)")
MAY_CLOSE = "may_close"
NONE_WAITS = "No period waits for its close."


def close_assets(project: Project) -> list[dg.AssetsDefinition]:
    """The gates and the close."""
    return [_gates(project), _period(project)]


def _gate_checks() -> list[dg.AssetCheckSpec]:
    gates = [gate for suite, _ in SUITES.values() for gate in suite]
    described = {gate.name: f"It holds that {gate.proves}. Limit: {gate.limit}, because {gate.why}." for gate in gates}
    described[MAY_CLOSE] = (
        "The lateness window is over, all earlier periods with usage are final, and every gate has passed or is waived "
        "at the current cutoff."
    )
    return [dg.AssetCheckSpec(name, asset=RESULTS, description=text, blocking=True) for name, text in described.items()]


def _read_by_gates(project: Project) -> list[dg.AssetKey]:
    """The relations that the gates' own SQL names: the lineage cannot drift from what they read."""
    texts = [gate.breaking_rows() + (gate.observed_value() or "") for suite, _ in SUITES.values() for gate in suite]
    named = READ_BY_DECISION | {found for text in texts for found in RELATION.findall(text)}
    return sorted(spec.key for spec in project.assets.values() if tuple(spec.key.path) in named)


def _gates(project: Project) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="gates",
        specs=[
            dg.AssetSpec(
                RESULTS,
                deps=_read_by_gates(project),
                group_name="gates",
                kinds={"greatexpectations"},
                description="Stored results of the gates. `nightly`: of all periods that wait for their close, as "
                "warnings. `month_end`: of its month, where a gate that fails blocks the close.",
            )
        ],
        check_specs=_gate_checks(),
        can_subset=True,
        pool=POOL,
    )
    def gates(context: dg.AssetExecutionContext, clock: Clock) -> Iterator[Any]:
        settings, as_of = load_settings(), clock.now_in(context)
        with writer(context, settings):
            if not context.has_partition_key:
                answer = _waiting(settings, as_of)
            elif _receipt(settings, context.partition_key).exists():
                answer = _closed_before(settings, context.partition_key)
            else:
                run, decision = runs.gate(settings, context.partition_key, as_of, None)
                answer = _of_period(run, decision)
                yield from () if decision.allowed else _refreshed(context.partition_key)
        result, checks = answer
        if RESULTS in context.selected_asset_keys:
            yield result
        yield from (
            check
            for check in checks
            if dg.AssetCheckKey(RESULTS, check.check_name) in context.selected_asset_check_keys
        )

    return gates


def _refreshed(billing_period: str) -> Iterator[dg.AssetMaterialization]:
    """A blocked period stays provisional, and is published as that: the marts with the gate results, and the files."""
    for key in (GATE_RESULTS, *PUBLISHED):
        yield dg.AssetMaterialization(
            key, description=f"{billing_period} stays provisional; its gate results are shown"
        )


def _waiting(settings: Settings, as_of: Any) -> tuple[dg.MaterializeResult, list[dg.AssetCheckResult]]:
    """The gates of all periods that wait for their close, and whether they may close as far as these see.

    What fails is a warning, which blocks nothing: figures that are not final are published as provisional.
    """
    done = list(runs.check_waiting(settings, as_of, None))
    decisions = {run.billing_period: may_close(settings, run.billing_period, as_of, whole=False) for run in done}
    rows = [row for run in done for row in run.results]
    checks = [
        _check([row for row in rows if row["gate"] == name], name, dg.AssetCheckSeverity.WARN) for name in GATE_NAMES
    ]
    checks.append(_may_close(decisions, dg.AssetCheckSeverity.WARN))
    return _result([run.billing_period for run in done], rows, done), checks


def _of_period(run: GateRun, decision: Decision) -> tuple[dg.MaterializeResult, list[dg.AssetCheckResult]]:
    checks = [_check([row], row["gate"], dg.AssetCheckSeverity.ERROR) for row in run.results]
    checks.append(_may_close({run.billing_period: decision}, dg.AssetCheckSeverity.ERROR))
    return _result([run.billing_period], list(run.results), [run]), checks


def _closed_before(settings: Settings, billing_period: str) -> tuple[dg.MaterializeResult, list[dg.AssetCheckResult]]:
    """Final is final: nothing is measured again. The gates are those that the receipt rests on."""
    rows = json.loads(_receipt(settings, billing_period).read_text(encoding="utf-8"))["gates"]
    checks = [_check([row], row["gate"], dg.AssetCheckSeverity.ERROR) for row in rows]
    checks.append(
        dg.AssetCheckResult(
            asset_key=RESULTS, check_name=MAY_CLOSE, passed=True, description=f"{billing_period} was closed before."
        )
    )
    return _result([billing_period], rows, []), checks


def _check(rows: list[dict[str, Any]], name: str, severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
    """One gate, of one period or of all that wait; where none waits, nothing breaks it."""
    broken = [row for row in rows if not (row["passed"] or row["waived"])]
    told = dict.fromkeys(f"{row['billing_period']}: {row['detail'].splitlines()[0]}" for row in broken or rows)
    return dg.AssetCheckResult(
        asset_key=RESULTS,
        check_name=name,
        passed=not broken,
        severity=severity,
        description=" ".join(told) or NONE_WAITS,
        metadata={
            "observed": "; ".join(f"{row['billing_period']}: {row['observed']}" for row in rows) or "nothing",
            "limit": rows[0]["limit"] if rows else "",
            "waived": "; ".join(row["billing_period"] for row in rows if row["waived"]) or "no",
            "rows that break it": table([failed for row in rows for failed in row.get("failed_rows", [])]),
        },
    )


def _may_close(decisions: dict[str, Decision], severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
    reasons = [
        {"billing_period": period, "reason": reason}
        for period, decision in decisions.items()
        for reason in decision.reasons
    ]
    told = " ".join(f"{row['billing_period']}: {row['reason']}." for row in reasons)
    return dg.AssetCheckResult(
        asset_key=RESULTS,
        check_name=MAY_CLOSE,
        passed=not reasons,
        severity=severity,
        description=told or (f"{', '.join(decisions)} may close." if decisions else NONE_WAITS),
        metadata={"reasons": table(reasons)},
    )


def _result(periods: list[str], rows: list[dict[str, Any]], done: list[GateRun]) -> dg.MaterializeResult:
    paths = {f"results of {run.billing_period}": dg.MetadataValue.path(run.results_path) for run in done}
    pages = [run.page for run in done if run.page]
    columns = ("gate", "billing_period", "passed", "waived", "observed", "limit")
    return dg.MaterializeResult(
        asset_key=RESULTS,
        metadata={
            "periods": ", ".join(periods) or "none waits for its close",
            "passed": sum(row["passed"] for row in rows),
            "waived": sum(row["waived"] and not row["passed"] for row in rows),
            "failed": sum(not (row["passed"] or row["waived"]) for row in rows),
            "gates": table([{column: row[column] for column in columns} for row in rows]),
            **paths,
            **({"data docs": dg.MetadataValue.path(pages[-1])} if pages else {}),
        },
    )


def _receipt(settings: Settings, billing_period: str) -> Any:
    return settings.finalized / f"period={billing_period}" / "receipt.json"


def _period(project: Project) -> dg.AssetsDefinition:
    frozen = [dg.AssetKey([part.schema, part.table]) for part in FROZEN_TABLES]
    refreshed = [project.assets[node].key for node in project.after_close]

    @dg.asset(
        key=PERIOD,
        partitions_def=MONTHS,
        deps=[RESULTS, GATE_RESULTS, *frozen],
        group_name="finalized",
        kinds={"parquet"},
        pool=POOL,
        description="A closed period: its receipt and the tables that it froze. Asks the stored gate results again "
        "before it closes.",
    )
    def finalize(context: dg.AssetExecutionContext, clock: Clock) -> Iterator[Any]:
        settings, period = load_settings(), context.partition_key
        with writer(context, settings):
            path = runs.close(settings, period, clock.now_in(context))
        receipt = json.loads(path.read_text(encoding="utf-8"))
        for key in [*(spec.key for spec in EARLIER_CLOSES), *refreshed]:
            yield dg.AssetMaterialization(key, description=f"After the close of {period}")
        yield dg.MaterializeResult(metadata=_receipt_metadata(settings, receipt, path))

    return finalize


def _receipt_metadata(settings: Settings, receipt: dict[str, Any], path: Any) -> dict[str, Any]:
    period = receipt["billing_period"]
    state = [row for row in operations.status(settings)["periods"] if row["billing_period"] == period]
    return {
        "receipt": dg.MetadataValue.path(path),
        "finalized at": receipt["finalized_at"],
        "cutoff batch": receipt["cutoff_batch_id"],
        "period": table(state),
        "frozen tables": table(
            [{part: entry[part] for part in ("table", "rows", "content_sha256")} for entry in receipt["tables"]]
        ),
        "waivers": len(receipt["waivers"]),
        "previous receipt": (receipt["previous_receipt"] or {}).get("billing_period", "none"),
    }

"""dbt's models and tests as assets and checks, built by `warehouse.build` in process, exactly as `usage build` does.

Why not DbtCliResource: that starts dbt anew for each step (import, parse) and is a second code path; in process the
project is parsed once per run. What a build did per model and test is read from dbt's own run_results.json.
"""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration import operations, warehouse
from orchestration.errors import UsageWarehouseError
from orchestration.operations.runs import AFTER_GATES
from orchestration.scheduling.project import Project
from orchestration.scheduling.running import POOL, Clock, table, writer
from orchestration.settings import Settings, load_settings

BUILT = ("success",)
TESTED = ("pass", "warn", "fail", "error")

# What people look at on an asset's page: which part of `usage status`.
SHOWN = {
    ("operations", "event_conservation"): "batches",
    ("operations", "pipeline_slis"): "slis",
    ("billing", "billing_periods"): "periods",
    ("finance", "ledger_reconciliation"): "periods",
}


def model_assets(project: Project) -> list[dg.AssetsDefinition]:
    """Two steps: all models but those that read stored gate results, and these, which come after the gates."""
    after_gates = project.after_gates
    first = [node for node in project.assets if node not in after_gates]
    return [_step("models", project, first, None), _step("models_after_gates", project, after_gates, AFTER_GATES)]


def _step(name: str, project: Project, nodes: list[str], everything: list[str] | None) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=[project.assets[node] for node in nodes],
        check_specs=list(project.checks_of(nodes).values()),
        can_subset=True,
        pool=POOL,
        allow_arbitrary_check_specs=True,
    )
    def build(context: dg.AssetExecutionContext, clock: Clock) -> Iterator[Any]:
        settings = load_settings()
        chosen = [project.names[node] for node in nodes if project.assets[node].key in context.selected_asset_keys]
        select = everything if len(chosen) == len(nodes) else chosen or _tests_chosen(project, context)
        with writer(context, settings):
            results, failure = _build(settings, clock.now_in(context), select)
            details = _details(settings, project, results) if warehouse_exists(settings) else {}
        yield from _events(context, project, results, details)
        if failure:
            raise dg.Failure(str(failure), allow_retries=False)

    return build


def warehouse_exists(settings: Settings) -> bool:
    return settings.warehouse.exists()


def _tests_chosen(project: Project, context: dg.AssetExecutionContext) -> list[str]:
    """dbt's names of the tests, where checks are run without the assets that they check."""
    return [spec.name for spec in project.checks.values() if spec.key in context.selected_asset_check_keys]


def _build(settings: Settings, as_of: Any, select: list[str] | None) -> tuple[list[dict[str, Any]], Exception | None]:
    """What dbt did per node, and what failed, if anything did: what was built before a failure is shown too."""
    outcome = warehouse.run_results_path(settings)
    outcome.unlink(missing_ok=True)
    failure = None
    try:
        warehouse.build(settings, as_of, select=select)
    except UsageWarehouseError as error:
        failure = error
    return (json.loads(outcome.read_text(encoding="utf-8"))["results"] if outcome.exists() else []), failure


def _events(
    context: dg.AssetExecutionContext, project: Project, results: list[dict[str, Any]], details: dict[str, Any]
) -> Iterator[Any]:
    for result in results:
        node = result["unique_id"]
        asset, check = project.assets.get(node), project.checks.get(node)
        if asset and asset.key in context.selected_asset_keys and result["status"] in BUILT:
            yield dg.MaterializeResult(asset_key=asset.key, metadata=metadata(result, details.get(node, {})))
        if check and check.key in context.selected_asset_check_keys and result["status"] in TESTED:
            yield dg.AssetCheckResult(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=result["status"] == "pass",
                severity=dg.AssetCheckSeverity.WARN if result["status"] == "warn" else dg.AssetCheckSeverity.ERROR,
                metadata={
                    "rows that fail": result["failures"] or 0,
                    "message": result["message"] or "",
                    "seconds": _seconds(result),
                },
            )


def metadata(result: dict[str, Any], details: dict[str, Any]) -> dict[str, Any]:
    """What stands on the page of a model's asset."""
    return {"seconds": _seconds(result), "relation": result.get("relation_name") or ""} | details


def _seconds(result: dict[str, Any]) -> float:
    return round(result["execution_time"], 2)


def _details(settings: Settings, project: Project, results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Row counts of the tables that were built, and the state of the house on the assets where people look for it."""
    built = {
        result["unique_id"] for result in results if result["status"] in BUILT and result["unique_id"] in project.assets
    }
    tables = {node: project.assets[node].key.path for node in built - project.uncounted}
    if not tables:
        return {}
    counts = " union all ".join(f"select '{node}', count(*) from {'.'.join(path)}" for node, path in tables.items())
    with warehouse.read(settings) as connection:
        rows = dict(connection.execute(counts).fetchall())
    details: dict[str, dict[str, Any]] = {node: {"dagster/row_count": count} for node, count in rows.items()}
    shown = {node: SHOWN[tuple(path)] for node, path in tables.items() if tuple(path) in SHOWN}
    if shown and len(built) == len(project.assets):  # all marts that the state is read from are there
        state = operations.status(settings)
        for node, part in shown.items():
            details[node][part] = table(state[part])
            if part == "periods":
                details[node] |= {f"gap {row['billing_period']}": row["gap"] or "no ledger" for row in state[part]}
    return details

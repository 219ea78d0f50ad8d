"""What the dbt manifest says: models as asset specs with their lineage, data tests as check specs."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

from orchestration import warehouse
from orchestration.operations.runs import AFTER_CLOSE, AFTER_GATES
from orchestration.settings import DBT_PROJECT, Settings

PARTS = ("models", "macros", "tests", "seeds", "analyses", "dbt_project.yml", "profiles.yml")
HEADING = re.compile(r"\A(?:\s*--[^\n]*\n)+")

# The models read the receipts of the periods closed before, and a close rests on the models: a circle in names, not in
# time. So what the models read of earlier closes stands outside the graph, and `finalized/period` reports to it what it
# adds.
EARLIER_CLOSES = tuple(
    dg.AssetSpec(
        ["finalized", name],
        group_name="closed_before",
        description=f"`{name}` of all periods closed so far, as the models read them. Each close adds to it: see "
        "`finalized/period`.",
        kinds={"parquet" if name != "receipts" else "json"},
    )
    for name in ("receipts", "invoice_lines", "invoice_line_tiers", "ledger_reconciliation")
)


class Translator(DagsterDbtTranslator):
    """Assets are named as their tables and grouped by schema; a check says in words what it proves.

    Two exceptions let the picture of the groups flow one way: a seed is reference data, and the models that read stored
    gate results stand with the gates.
    """

    def __init__(self, after_gates: set[str]) -> None:
        super().__init__()
        self.after_gates = after_gates

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        if dbt_resource_props["resource_type"] == "seed":
            return "reference"
        if dbt_resource_props["unique_id"] in self.after_gates:
            return "gates"
        return dbt_resource_props["config"].get("schema")

    def get_asset_check_spec(self, asset_spec: Any, manifest: Any, unique_id: str, project: Any) -> Any:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=_what_it_proves(manifest["nodes"][unique_id]))


@dataclass(frozen=True)
class Project:
    """The dbt project as Dagster shows it: asset and check specs by dbt's unique_id. `uncounted`: models whose rows nobody asks for."""

    assets: dict[str, dg.AssetSpec]
    checks: dict[str, dg.AssetCheckSpec]
    names: dict[str, str]
    uncounted: frozenset[str]
    after_gates: list[str]
    after_close: list[str]

    def checks_of(self, nodes: list[str]) -> dict[str, dg.AssetCheckSpec]:
        keys = {self.assets[node].key for node in nodes}
        return {test: spec for test, spec in self.checks.items() if spec.asset_key in keys}


def read_project(settings: Settings) -> Project:
    """The project's specs, from its manifest; parses first where the manifest is missing or older than the project."""
    manifest = _manifest(settings)
    _attach_singular_tests(manifest)
    after_gates = _after(manifest, AFTER_GATES)
    translator = Translator(set(after_gates))
    assets = {
        node: translator.get_asset_spec(manifest, node, None)
        for node, props in sorted(manifest["nodes"].items())
        if props["resource_type"] in ("model", "seed", "snapshot") and props["config"]["materialized"] != "ephemeral"
    }
    checks = {
        test: spec
        for node, asset in assets.items()
        for test in manifest["child_map"][node]
        if test.startswith("test.") and (spec := translator.get_asset_check_spec(asset, manifest, test, None))
    }
    return Project(
        assets=assets,
        checks=checks,
        names={node: manifest["nodes"][node]["name"] for node in assets},
        uncounted=frozenset(node for node in assets if _is_only_a_step(manifest["nodes"][node])),
        after_gates=after_gates,
        after_close=_after(manifest, AFTER_CLOSE),
    )


def _is_only_a_step(node: dict[str, Any]) -> bool:
    """A view behind the marts: to count its rows would compute it. A mart is counted, also where it is a view."""
    return node["config"]["materialized"] == "view" and "marts" not in node["fqn"]


def _after(manifest: dict[str, Any], selectors: list[str]) -> list[str]:
    """The models that dbt selects by `name+`: the named ones and all that rest on them."""
    models = {node: props["name"] for node, props in manifest["nodes"].items() if props["resource_type"] == "model"}
    found = {node for node, name in models.items() if f"{name}+" in selectors}
    open_ends = list(found)
    while open_ends:
        fresh = [child for child in manifest["child_map"][open_ends.pop()] if child in models and child not in found]
        found.update(fresh)
        open_ends += fresh
    return sorted(found)


def _manifest(settings: Settings) -> dict[str, Any]:
    kept = warehouse.run_results_path(settings).with_name("manifest.json")
    newest = max(path.stat().st_mtime for path in _project_files())
    if kept.exists() and kept.stat().st_mtime > newest:
        try:
            return json.loads(kept.read_text(encoding="utf-8"))
        except ValueError:  # a build in another process is just writing it
            pass
    return json.loads(warehouse.manifest_path(settings).read_text(encoding="utf-8"))


def _project_files() -> Iterator[Path]:
    for part in PARTS:
        place = DBT_PROJECT / part
        yield from (place, *place.rglob("*")) if place.is_dir() else ([place] if place.exists() else [])


def _attach_singular_tests(manifest: dict[str, Any]) -> None:
    """dbt does not say which model a singular test of several is about: the one furthest down the line."""
    for test, props in manifest["nodes"].items():
        parents = manifest["parent_map"].get(test, [])
        if props["resource_type"] == "test" and not props.get("attached_node") and parents:
            props["attached_node"] = max(parents, key=lambda node: (_depth(manifest, node), node))


def _depth(manifest: dict[str, Any], node: str) -> int:
    known = manifest.setdefault("depths", {})
    if node not in known:
        known[node] = 1 + max((_depth(manifest, parent) for parent in manifest["parent_map"].get(node, [])), default=0)
    return known[node]


def _what_it_proves(test: Mapping[str, Any]) -> str | None:
    """Its description, else the comment that heads its file."""
    heading = HEADING.match(test["raw_code"])
    comment = (
        " ".join(line.strip().removeprefix("--").strip() for line in heading.group().splitlines()) if heading else None
    )
    return test.get("description") or comment

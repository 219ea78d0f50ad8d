"""What people find in Dagster: keys, jobs, schedules, sensors and checks are public names, held by a snapshot.

To change it on purpose:

USAGE_UPDATE_SNAPSHOT=1 .venv/bin/python -m pytest tests/orchestration/dagster/test_definitions.py
"""

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from orchestration import gates, publishing
from orchestration.scheduling.project import read_project
from orchestration.scheduling.running import POOL
from orchestration.settings import PROJECT_ROOT, Settings

SNAPSHOT = Path(__file__).with_name("definitions.json")
GATES = dg.AssetKey(["gates", "results"])
PERIOD = dg.AssetKey(["finalized", "period"])


def shape(defs: dg.Definitions) -> dict[str, Any]:
    repository = defs.get_repository_def()
    graph = repository.asset_graph
    checks: dict[str, list[str]] = {}
    for key in graph.asset_check_keys:
        checks.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    jobs = [repository.get_job(name) for name in ("nightly", "month_end")]
    return {
        "assets": sorted(key.to_user_string() for key in graph.materializable_asset_keys),
        "external_assets": sorted(key.to_user_string() for key in graph.external_asset_keys),
        "checks": {asset: sorted(names) for asset, names in sorted(checks.items())},
        "jobs": {
            job.name: {
                "steps": sorted(node.name for node in job.graph.nodes),
                "partitions": str(job.partitions_def) if job.partitions_def else None,
            }
            for job in jobs
        },
        "schedules": {
            schedule.name: [schedule.cron_schedule, schedule.execution_timezone, schedule.job_name]
            for schedule in repository.schedule_defs
        },
        "sensors": {sensor.name: [target.job_name for target in sensor.targets] for sensor in repository.sensor_defs},
    }


def test_names_are_those_of_the_snapshot(defs: dg.Definitions) -> None:
    found = json.loads(json.dumps(shape(defs)))
    if os.environ.get("USAGE_UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_what_is_published_after_the_gates_is_what_rests_on_them(parsed_home: Settings) -> None:
    """A night takes all else out of the warehouse while its gates run, and builds what shows their results afterwards."""
    project = read_project(parsed_home)
    rest_on_gates = {project.names[node] for node in project.after_gates}
    gated = {True: set(), False: set()}
    for relation in (relation for relations in publishing.AUDIENCES.values() for relation in relations):
        gated[relation.gated] |= {name.split(".")[-1] for name in (relation.source, relation.coded) if name}
    assert gated[True] and gated[True] <= rest_on_gates
    assert gated[False].isdisjoint(rest_on_gates)


def test_everything_loads_and_the_jobs_are_sound(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_every_model_and_every_data_test_is_there(defs: dg.Definitions, parsed_home: Settings) -> None:
    manifest = json.loads((parsed_home.home / ".dbt" / "target" / "manifest.json").read_text(encoding="utf-8"))
    nodes = manifest["nodes"].values()
    graph = defs.get_repository_def().asset_graph
    models = {(node["config"]["schema"], node["name"]) for node in nodes if node["resource_type"] in ("model", "seed")}
    assert models <= {tuple(key.path) for key in graph.materializable_asset_keys}
    tests = {node["name"] for node in nodes if node["resource_type"] == "test"}
    assert tests <= {key.name for key in graph.asset_check_keys}


def test_lineage_runs_from_the_inbox_to_the_published_files(defs: dg.Definitions) -> None:
    graph = defs.get_repository_def().asset_graph
    upstream = graph.get_ancestor_asset_keys(dg.AssetKey(["published", "finance"]))
    for path in (
        ["inbox", "events"],
        ["lake", "usage_events"],
        ["reference", "prices"],
        ["intermediate", "int_usage_postings"],
        ["usage", "usage_daily"],
        ["billing", "invoice_lines"],
        ["gates", "results"],
        ["operations", "gate_results"],
        ["finalized", "period"],
    ):
        assert dg.AssetKey(path) in upstream, path


def test_every_gate_is_a_blocking_check_before_the_close(defs: dg.Definitions) -> None:
    graph = defs.get_repository_def().asset_graph
    blocking = {key.name for key in graph.asset_check_keys if key.asset_key == GATES and graph.get(key).blocking}
    assert blocking == {*gates.GATE_NAMES, "may_close"}
    assert GATES in graph.get(PERIOD).parent_keys


def test_what_an_audience_sees_is_what_its_file_rests_on(defs: dg.Definitions) -> None:
    graph = defs.get_repository_def().asset_graph
    for audience, relations in publishing.AUDIENCES.items():
        parents = graph.get(dg.AssetKey(["published", audience])).parent_keys
        assert {relation.source for relation in relations} <= {".".join(key.path) for key in parents}


def test_every_step_that_writes_is_in_the_pool_of_one(defs: dg.Definitions) -> None:
    graph = defs.get_repository_def().asset_graph
    pools = {tuple(asset.op.pools) for asset in graph.assets_defs if asset.is_executable}
    assert pools == {(POOL,)}
    instance = yaml.safe_load((PROJECT_ROOT / "orchestration" / "dagster.yaml").read_text(encoding="utf-8"))
    assert instance["concurrency"]["pools"] == {"default_limit": 1, "granularity": "run"}
    assert instance["telemetry"] == {"enabled": False}

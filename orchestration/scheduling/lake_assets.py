"""Landing as assets: the inbox, what landed of it, and what was refused."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration import landing, operations
from orchestration.landing.reference_tables import TABLES
from orchestration.scheduling.running import POOL, Clock, table, writer
from orchestration.settings import Settings, load_settings

INBOX = (
    dg.AssetSpec(["inbox", "events"], group_name="inbox", description="Dumps of usage events, as producers drop them."),
    dg.AssetSpec(
        ["inbox", "reference"], group_name="inbox", description="Reference tables, as their owners drop them."
    ),
)

LAKE = {
    "manifests": "One manifest per batch: what landed when, from which files. Its commit point.",
    "usage_events": "Accepted events, PII redacted, immutable.",
    "rejected_events": "Rejected records with their reasons, PII masked, immutable and replayable.",
}

DUMPS_READABLE = dg.AssetCheckSpec(
    "dumps_are_readable",
    asset=["lake", "usage_events"],
    description="Every dump of the batch could be read. One that cannot is kept, listed, and stops no other.",
)
REFERENCES_SOUND = dg.AssetCheckSpec(
    "references_are_sound",
    asset=["lake", "manifests"],
    description="No reference file was refused. One that is leaves the version before it in force.",
)


@dg.multi_asset(
    name="landing",
    specs=[
        *(
            dg.AssetSpec(["lake", name], deps=list(INBOX), group_name="lake", description=text, kinds={"parquet"})
            for name, text in LAKE.items()
        ),
        *(
            dg.AssetSpec(["reference", name], deps=[INBOX[1]], group_name="reference", kinds={"parquet"})
            for name in sorted(TABLES)
        ),
    ],
    check_specs=[DUMPS_READABLE, REFERENCES_SOUND],
    pool=POOL,
)
def landing_step(context: dg.AssetExecutionContext, clock: Clock) -> Iterator[Any]:
    """Land what is new in the inbox as one batch. Landing a file twice is a no-op."""
    settings = load_settings()
    with writer(context, settings, transient=True):
        result = operations.land_inbox(settings, clock.now_in(context), None)
    yield from _lake(settings, result)
    yield from _references(settings)
    yield _check(DUMPS_READABLE, [{"file": file.file_name, "reason": file.reason} for file in result.rejected_files])
    yield _check(
        REFERENCES_SOUND,
        [{"file": entry.file_name, "fault": fault} for entry in result.refused_references for fault in entry.faults],
    )


def _lake(settings: Settings, result: landing.LandingResult) -> Iterator[dg.MaterializeResult]:
    files = [file for manifest in landing.manifests(settings) for file in manifest["files"]]
    shared = {"batch": result.batch_id or "nothing new", "landed at": result.landed_at}
    yield dg.MaterializeResult(
        asset_key=["lake", "manifests"],
        metadata=shared
        | {
            "path": dg.MetadataValue.path(settings.lake / "batches"),
            "files": len(result.files),
            "landed before": len(result.already_landed),
            "left alone": table([{"file": entry.file_name, "why": entry.reason} for entry in result.ignored]),
        },
    )
    yield dg.MaterializeResult(
        asset_key=["lake", "usage_events"],
        metadata=shared
        | {
            "path": dg.MetadataValue.path(settings.lake / "usage_events"),
            "dagster/row_count": sum(file["accepted"] for file in files),
            "records": result.records,
            "accepted": result.accepted,
            "rejected": result.rejected,
            "PII values replaced": dg.MetadataValue.json(result.pii_detections),
        },
    )
    yield dg.MaterializeResult(
        asset_key=["lake", "rejected_events"],
        metadata=shared
        | {
            "path": dg.MetadataValue.path(settings.lake / "rejected_events"),
            "dagster/row_count": sum(file["rejected"] for file in files),
            "rejected": result.rejected,
        }
        | {f"rejected: {reason}": count for reason, count in result.reject_reasons.items()},
    )


def _references(settings: Settings) -> Iterator[dg.MaterializeResult]:
    """Each table with the version in force; its data version, so that Dagster sees which ones changed."""
    in_force: dict[str, dict[str, Any]] = {}
    for manifest in landing.manifests(settings):
        landed = [entry for entry in manifest["references"] if entry["status"] == "landed"]
        in_force |= {entry["table"]: entry | {"batch": manifest["batch_id"]} for entry in landed}
    for name in sorted(TABLES):
        entry = in_force.get(name, {"version": 0, "rows": 0})
        details = {key: entry[key] for key in ("version", "batch", "file_name", "sha256") if key in entry}
        yield dg.MaterializeResult(
            asset_key=["reference", name],
            metadata=details
            | {"path": dg.MetadataValue.path(settings.lake / "reference" / name), "dagster/row_count": entry["rows"]},
            data_version=dg.DataVersion(str(entry["version"])),
        )


def _check(spec: dg.AssetCheckSpec, faults: list[dict[str, Any]]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"found": table(faults)},
    )

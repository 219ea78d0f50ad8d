"""One landing from end to end: what is new becomes one batch."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestration.errors import UsageWarehouseError
from orchestration.landing import batches
from orchestration.landing.events import Tally, Workshop
from orchestration.landing.find import COMPRESSIONS, FORMATS, Dump, NotNow, find
from orchestration.landing.lake import LAKE_EVENTS, REJECTED, PartWriter, write_parquet
from orchestration.landing.parsing import Parser
from orchestration.landing.pii import Redactor
from orchestration.landing.result import FileResult, Ignored, Known, LandingResult, ReferenceResult
from orchestration.settings import Settings, now, tight_modes

Progress = Callable[[str, int], None]

# A file's name and its ending, which is no part of the address that may stand before it.
ENDING = re.compile(
    rf"(.*?)((?:\.(?:{'|'.join(FORMATS)}))?(?:\.(?:{'|'.join(COMPRESSIONS)}))?)", re.IGNORECASE | re.DOTALL
)


def land(
    settings: Settings,
    paths: list[Path] | None = None,
    as_of: datetime | None = None,
    on_progress: Progress | None = None,
) -> LandingResult:
    """Lands every new dump and reference file under `paths` (default: the home's inbox) as one batch.

    Idempotent by content, atomic, safe to kill: an earlier landing's leftovers are removed first. `on_progress` hears
    a file's name and its records so far. Raises UsageWarehouseError for a path that does not exist and for a damaged
    lake; an unreadable dump or a broken reference file stands in the result and stops nothing else, and so does a
    file that cannot be read now, which the next landing tries again.
    """
    with tight_modes():
        return _land(settings, paths, as_of, on_progress or (lambda name, records: None))


def _land(settings: Settings, paths: list[Path] | None, as_of: datetime | None, on_progress: Progress) -> LandingResult:
    batches.recover(settings)
    known = batches.manifests(settings)
    pii_key = settings.pii_key()
    dumps, ignored, postponed = (_named_safely(files, pii_key) for files in find(settings, paths))
    batch = _Batch(batches.next_batch_id(known), now(as_of).replace(tzinfo=None), postponed=postponed)
    new = _new(dumps, known, batch)
    with Parser(settings, pii_key, batch.landed_at) as parser:
        _land_references(settings, parser, [dump for dump in new if dump.table], known, batch)
        _land_events(settings, parser, [dump for dump in new if not dump.table], known, batch, on_progress)
    has_new = bool(batch.files) or any(reference.status == "landed" for reference in batch.references)
    if has_new:
        batches.commit(settings, batch.manifest())
    return LandingResult(
        batch_id=batch.batch_id if has_new else None,
        landed_at=iso(batch.landed_at),
        files=batch.files,
        references=batch.references,
        already_landed=batch.already_landed,
        ignored=ignored,
        postponed=batch.postponed,
        reject_reasons=dict(sorted(batch.reject_reasons.items())),
        pii_detections=dict(sorted(batch.pii_detections.items())),
    )


def _named_safely(files: list[Any], pii_key: bytes) -> list[Any]:
    """The files under the names by which they are recorded: without the e-mail addresses in them."""
    redactor, named = Redactor(pii_key), []
    for file in files:
        stem, ending = ENDING.fullmatch(file.file_name).groups()
        named.append(replace(file, file_name=redactor.identifier(stem) + ending))
    return named


def iso(instant: datetime) -> str:
    """A UTC time as manifests write it."""
    return instant.isoformat(timespec="microseconds") + "Z"


@dataclass
class _Batch:
    """The batch in the making. `lake_files` are paths in staging with their rows."""

    batch_id: int
    landed_at: datetime
    files: list[FileResult] = field(default_factory=list)
    references: list[ReferenceResult] = field(default_factory=list)
    already_landed: list[Known] = field(default_factory=list)
    postponed: list[Ignored] = field(default_factory=list)
    lake_files: list[tuple[Path, int]] = field(default_factory=list)
    reject_reasons: Counter[str] = field(default_factory=Counter)
    pii_detections: Counter[str] = field(default_factory=Counter)

    def manifest(self) -> dict[str, Any]:
        return {
            "batch_id": self.batch_id,
            "landed_at": iso(self.landed_at),
            "files": [asdict(file) for file in self.files],
            "references": [asdict(reference) for reference in self.references],
            "lake_files": self.lake_files,
            "pii_detections": dict(sorted(self.pii_detections.items())),
        }


def _new(dumps: list[Dump], known: list[dict[str, Any]], batch: _Batch) -> list[Dump]:
    """The files whose content never landed; the others are noted in the batch. References count per table."""
    seen: dict[tuple[str | None, str], int] = {}
    for manifest in known:
        seen |= {(None, file["sha256"]): manifest["batch_id"] for file in manifest["files"] if "replay_of" not in file}
    in_force: dict[str, str] = {}
    for reference in batches.landed_references(known):
        seen[reference["table"], reference["sha256"]] = reference["batch_id"]
        in_force[reference["table"]] = reference["sha256"]
    new = []
    for dump in dumps:
        identity = (dump.table, dump.sha256)
        if identity in seen:
            superseded = dump.table and in_force.get(dump.table) != dump.sha256
            note = f"a later version of {dump.table} is in force" if superseded else None
            batch.already_landed.append(Known(dump.file_name, dump.sha256, seen[identity], note))
        else:
            seen[identity] = batch.batch_id
            if dump.table:
                in_force[dump.table] = dump.sha256
            new.append(dump)
    return new


def _land_references(
    settings: Settings, parser: Parser, dumps: list[Dump], known: list[dict[str, Any]], batch: _Batch
) -> None:
    """Stages a new version of each sound reference file."""
    versions = {reference["table"]: reference["version"] for reference in batches.landed_references(known)}
    for dump in dumps:
        try:
            rows, faults = parser.reference(dump, batch.batch_id)
        except NotNow as error:
            batch.postponed.append(Ignored(dump.file_name, str(error)))
            continue
        version = None
        if not faults:
            version = versions[dump.table] = versions.get(dump.table, 0) + 1
            path = batches.staging(settings) / "reference" / dump.table / f"version={version}" / "part-00000.parquet"
            write_parquet(rows, path)
            batch.lake_files.append((path, rows.num_rows))
        batch.references.append(
            ReferenceResult(
                dump.table,
                version,
                dump.file_name,
                dump.sha256,
                "refused" if faults else "landed",
                rows.num_rows,
                faults,
            )
        )


def _land_events(
    settings: Settings,
    parser: Parser,
    dumps: list[Dump],
    known: list[dict[str, Any]],
    batch: _Batch,
    on_progress: Progress,
) -> None:
    """Stages the accepted and rejected records of every new dump."""
    if not dumps:
        return
    place = f"landed_date={batch.landed_at:%Y-%m-%d}/batch={batch.batch_id}"
    accepted = PartWriter(batches.staging(settings) / "usage_events" / place, LAKE_EVENTS)
    rejected = PartWriter(batches.staging(settings) / "rejected_events" / place, REJECTED)
    parser.refuse_negative(never_negative(settings, known, batch.references))
    workshop = Workshop(parser, accepted, rejected, on_progress)
    for dump in dumps:
        file_order = len(batch.files) + 1
        try:
            tally = workshop.land(dump, file_order)
        except NotNow as error:
            batch.postponed.append(Ignored(dump.file_name, str(error)))
            continue
        batch.files.append(_file_result(dump, file_order, tally))
        batch.reject_reasons += tally.reject_reasons
        batch.pii_detections += tally.detections
    batch.lake_files += [*accepted.close(), *rejected.close()]


def never_negative(
    settings: Settings, known: list[dict[str, Any]], references: Sequence[ReferenceResult] = ()
) -> list[str]:
    """The metrics whose quantities may not be negative, as the registry stands with this landing's `references`."""
    folder = None
    for reference in batches.landed_references(known):
        if reference["table"] == "metrics":
            folder = settings.lake / "reference" / "metrics" / f"version={reference['version']}"
    for reference in references:
        if reference.table == "metrics" and reference.status == "landed":
            folder = batches.staging(settings) / "reference" / "metrics" / f"version={reference.version}"
    if folder is None:
        return []
    path = folder / "part-00000.parquet"
    try:
        metrics = pq.ParquetFile(path).read(columns=["metric", "allow_negative"])
    except (OSError, pa.ArrowException) as error:
        raise UsageWarehouseError(f"the metrics in force cannot be read from {path}: {error}") from error
    return metrics.filter(pc.invert(metrics["allow_negative"]))["metric"].to_pylist()


def _file_result(dump: Dump, file_order: int, tally: Tally) -> FileResult:
    return FileResult(
        file_order=file_order,
        file_name=dump.file_name,
        sha256=dump.sha256,
        bytes=dump.bytes,
        format=dump.format,
        compression=dump.compression,
        status="rejected" if tally.reason else "landed",
        reason=tally.reason,
        records=tally.accepted + tally.rejected,
        accepted=tally.accepted,
        rejected=tally.rejected,
        first_event_ts=iso(tally.first_event_ts) if tally.first_event_ts else None,
        last_event_ts=iso(tally.last_event_ts) if tally.last_event_ts else None,
    )

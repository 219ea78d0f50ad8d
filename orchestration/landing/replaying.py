"""Replay: rejected records that today's rules accept land again, as a batch of their own.

The rejected rows stay where they are. Each replayed record keeps its row number under an entry of the new batch's
manifest that names the batch and file in which it landed first (`replay_of`), and it keeps its ingestion: the rules
see the time of its first landing, and so does every figure. What is kept of a rejected record is its text with
personal data masked; where that hides a field of the contract, the record is not what its producer sent, and stays.
"""

import csv
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestration.errors import UsageWarehouseError
from orchestration.landing import batches, exact_json, fields
from orchestration.landing.events import Tally, Workshop
from orchestration.landing.find import find
from orchestration.landing.lake import LAKE_EVENTS, REJECTED, PartWriter
from orchestration.landing.land import Progress, iso, never_negative
from orchestration.landing.parsing import Parser
from orchestration.landing.result import ReplayedFile, ReplayResult
from orchestration.settings import Settings, now, tight_modes

PSEUDONYM = re.compile(r"pii:[a-z]+:[0-9a-f]{32}")
FOLDER = re.compile(r"lake/(rejected_events|usage_events)/landed_date=[^/]+/batch=[0-9]+/[^/]+")

Place = tuple[int, int, int]  # batch_id, file_order, row_number


class NotReplayable(Exception):
    """What is kept of a record cannot be read as its producer sent it; the argument says why in one word."""


def replay(
    settings: Settings,
    batch_id: int | None = None,
    reason: str | None = None,
    dry_run: bool = False,
    as_of: datetime | None = None,
    on_progress: Progress | None = None,
) -> ReplayResult:
    """Lands the rejected records that today's rules accept as one new batch; `batch_id` and `reason` narrow down which.

    Idempotent: a record that was replayed is not replayed again. Atomic and safe to kill, as a landing. With `dry_run`
    nothing lands, and the result is what would. Raises UsageWarehouseError for a batch that does not exist.
    """
    with tight_modes():
        batches.recover(settings)
        known = batches.manifests(settings)
        if batch_id is not None and batch_id not in {manifest["batch_id"] for manifest in known}:
            raise UsageWarehouseError(f"there is no batch {batch_id}")
        run = _Replay(
            settings, known, reason, now(as_of).replace(tzinfo=None), on_progress or (lambda name, records: None)
        )
        try:
            for manifest in known:
                if batch_id in (None, manifest["batch_id"]):
                    run.replay(manifest)
            return run.commit(dry_run)
        finally:
            shutil.rmtree(run.folder, ignore_errors=True)


@dataclass
class _Dump:
    """The records of one dump that are tried again, as lines of a file: which row each line is, and why it was rejected."""

    path: Path
    file: BinaryIO
    rows: list[int] = field(default_factory=list)
    reasons: list[list[str]] = field(default_factory=list)


class _Again(PartWriter):
    """Writes accepted records under the row numbers and with the ingestion that they had at their first landing."""

    def start(self, rows: list[int], landed_at: datetime) -> None:
        """The rows of the dump to come, by line."""
        self._rows, self._landed_at, self.lines = pa.array(rows, pa.int64()), landed_at, []

    def add(self, table: pa.Table) -> None:
        lines = pc.subtract(table["row_number"].combine_chunks(), 1)
        self.lines += lines.to_pylist()
        ingested = pc.fill_null(table["ingested_ts"], pa.scalar(self._landed_at, pa.timestamp("us")))
        for name, column in {"row_number": self._rows.take(lines), "ingested_ts": ingested}.items():
            table = table.set_column(table.schema.get_field_index(name), LAKE_EVENTS.field(name), column)
        super().add(table)

    def end_dump(self, keep: bool) -> None:
        super().end_dump(keep)
        if not keep:
            self.lines = []


class _Nowhere:
    """Where records go that are rejected again: they stand in the lake already, and are only counted."""

    def add(self, table: pa.Table) -> None:
        pass

    def end_dump(self, keep: bool) -> None:
        pass


class _Replay:
    """One replay in the making."""

    def __init__(
        self,
        settings: Settings,
        known: list[dict[str, Any]],
        reason: str | None,
        landed_at: datetime,
        on_progress: Progress,
    ) -> None:
        self._settings, self._known, self._reason, self._on_progress = settings, known, reason, on_progress
        self._batch_id, self._landed_at = batches.next_batch_id(known), landed_at
        self._done = set(_replayed(settings, known))
        self.folder = settings.scratch / "replay"
        place = f"landed_date={landed_at:%Y-%m-%d}/batch={self._batch_id}"
        self._accepted = _Again(batches.staging(settings) / "usage_events" / place, LAKE_EVENTS)
        self._files: list[ReplayedFile] = []
        self._looked_at = self._already = 0
        self._by_reason: Counter[str] = Counter()
        self._still: Counter[str] = Counter()
        self._never: Counter[str] = Counter()

    def replay(self, manifest: dict[str, Any]) -> None:
        """Tries the rejected records of one batch again, by today's rules and the batch's own time."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        dumps = self._dumps(manifest)
        if not dumps:
            return
        landed_at = datetime.fromisoformat(manifest["landed_at"].removesuffix("Z"))
        with Parser(self._settings, self._settings.pii_key(), landed_at) as parser:
            parser.refuse_negative(never_negative(self._settings, self._known))
            workshop = Workshop(parser, self._accepted, _Nowhere(), self._on_progress)
            for file in manifest["files"]:
                if dump := dumps.get(file["file_order"]):
                    self._try(workshop, dump, file, manifest["batch_id"], landed_at)

    def _dumps(self, manifest: dict[str, Any]) -> dict[int, _Dump]:
        """The batch's records to try again as JSON lines, one file per dump."""
        dumps: dict[int, _Dump] = {}
        try:
            for row in _rows_of(self._settings, manifest, "rejected_events"):
                if self._reason and self._reason not in row["reasons"]:
                    continue
                self._looked_at += 1
                if (manifest["batch_id"], row["file_order"], row["row_number"]) in self._done:
                    self._already += 1
                    continue
                try:
                    line = as_line(row["record"], row.get("header"), _format(manifest, row["file_order"]))
                except NotReplayable as error:
                    self._never[str(error)] += 1
                    continue
                dump = dumps.get(row["file_order"]) or self._open(dumps, row["file_order"])
                dump.file.write(line + b"\n")
                dump.rows.append(row["row_number"])
                dump.reasons.append(row["reasons"])
        finally:
            for dump in dumps.values():
                dump.file.close()
        return dumps

    def _open(self, dumps: dict[int, _Dump], file_order: int) -> _Dump:
        path = self.folder / f"{file_order}.jsonl"
        return dumps.setdefault(file_order, _Dump(path, path.open("wb")))

    def _try(self, workshop: Workshop, dump: _Dump, file: dict[str, Any], batch_id: int, landed_at: datetime) -> None:
        [found], _, _ = find(self._settings, [dump.path])
        self._accepted.start(dump.rows, landed_at)
        tally = workshop.land(found, len(self._files) + 1)
        if tally.reason:
            self._never["unreadable"] += len(dump.rows)
            return
        self._still += tally.reject_reasons
        self._by_reason.update(reason for line in self._accepted.lines for reason in dump.reasons[line])
        if tally.accepted:
            origin = {"batch_id": batch_id, "file_order": file["file_order"]}
            self._files.append(_replayed_file(file, tally, len(self._files) + 1, origin))

    def commit(self, dry_run: bool) -> ReplayResult:
        """Lets the new batch exist, unless there is nothing in it."""
        lake_files = self._accepted.close()
        lands = bool(self._files) and not dry_run
        result = ReplayResult(
            batch_id=self._batch_id if lands else None,
            landed_at=iso(self._landed_at),
            dry_run=dry_run,
            looked_at=self._looked_at,
            already_replayed=self._already,
            files=self._files,
            by_reason=dict(sorted(self._by_reason.items())),
            still_rejected=dict(sorted(self._still.items())),
            not_replayable=dict(sorted(self._never.items())),
        )
        if lands:
            files = result.as_dict()["files"]
            manifest = {"batch_id": self._batch_id, "landed_at": result.landed_at, "files": files, "references": []}
            batches.commit(self._settings, manifest | {"lake_files": lake_files})
        else:
            shutil.rmtree(batches.staging(self._settings), ignore_errors=True)
        return result


def as_line(record: bytes, header: list[str] | None, format_: str) -> bytes:
    """A rejected record as one line of JSON. Raises NotReplayable.

    `unreadable`: it is no record; `header_not_kept`: a CSV record that landed when its header was not kept beside it;
    `masked_field`: a field of the contract holds, or may hold, a pseudonym in place of what was sent.
    """
    if len(record) > fields.RECORD_LIMIT_BYTES:
        raise NotReplayable("too_long")
    try:
        text = record.decode()
        if format_ == "csv":
            text = exact_json.dump(_cells(text, header))
        value = exact_json.parse(text)
    except (UnicodeDecodeError, exact_json.NotExact):
        raise NotReplayable("unreadable") from None
    if not isinstance(value, dict):
        raise NotReplayable("unreadable")
    for name in fields.FIELDS:
        if name != "dims" and name in value and PSEUDONYM.search(exact_json.dump(value[name])):
            raise NotReplayable("masked_field")
    return text.encode()


def _cells(text: str, header: list[str] | None) -> dict[str, str]:
    """The cells of a CSV record under their names; an empty cell is an absent value."""
    if header is None:
        raise NotReplayable("header_not_kept")
    try:
        rows = list(csv.reader((line + "\n" for line in text.split("\n")), strict=True))
    except csv.Error:
        raise NotReplayable("unreadable") from None
    if len(rows) != 1 or len(rows[0]) != len(header) or len(set(header)) != len(header):
        raise NotReplayable("unreadable")
    return {name: cell for name, cell in zip(header, rows[0], strict=True) if cell}


def _rows_of(settings: Settings, manifest: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """The rows of a batch's accepted or rejected records, as they stand in the lake; of accepted ones only the place."""
    wanted = REJECTED.names if kind == "rejected_events" else ["file_order", "row_number"]
    for lake_file in manifest["lake_files"]:
        found = FOLDER.fullmatch(lake_file["path"])
        if found is None or found[1] != kind:
            continue
        path = settings.home / lake_file["path"]
        try:
            with pq.ParquetFile(path) as part:
                columns = [name for name in wanted if name in part.schema_arrow.names]
                for batch in part.iter_batches(columns=columns):
                    yield from batch.to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise UsageWarehouseError(f"{lake_file['path']} cannot be read: {error}") from error


def _replayed(settings: Settings, known: list[dict[str, Any]]) -> Iterator[Place]:
    """Where every record stands that has been replayed."""
    for manifest in known:
        origins = {file["file_order"]: file["replay_of"] for file in manifest["files"] if "replay_of" in file}
        if origins:
            for row in _rows_of(settings, manifest, "usage_events"):
                origin = origins[row["file_order"]]
                yield origin["batch_id"], origin["file_order"], row["row_number"]


def _format(manifest: dict[str, Any], file_order: int) -> str:
    return next(file["format"] for file in manifest["files"] if file["file_order"] == file_order)


def _replayed_file(file: dict[str, Any], tally: Tally, file_order: int, origin: dict[str, int]) -> ReplayedFile:
    """The dump's entry in the new batch: what it was, and what of it is replayed."""
    dump = {name: file[name] for name in ("file_name", "sha256", "bytes", "format", "compression")}
    return ReplayedFile(
        **dump,
        file_order=file_order,
        status="landed",
        reason=None,
        records=tally.accepted,
        accepted=tally.accepted,
        rejected=0,
        first_event_ts=iso(tally.first_event_ts),
        last_event_ts=iso(tally.last_event_ts),
        replay_of=origin,
    )

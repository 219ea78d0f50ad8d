"""One dump from its bytes to accepted and rejected records, piece by piece. Runs inside the parser's process."""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.landing import typed
from orchestration.landing.canonical import canonical
from orchestration.landing.engine import run, sql_file
from orchestration.landing.lake import EVENTS, REJECTED
from orchestration.landing.pii import IDENTIFIERS, Redactor, redact_identifiers, redact_records, redact_texts
from orchestration.landing.readers import READERS
from orchestration.landing.readers.chunk import Chunk, Piece
from orchestration.landing.storing import stored

SHOWN = 1024  # characters of an unreasonably long identifier that stand beside a rejected record


class Processed(NamedTuple):
    """One piece of a dump, done: what goes to the lake, and how often personal data was replaced."""

    accepted: pa.Table
    rejected: pa.Table
    detections: Counter[str]


@dataclass
class Bench:
    """What the pieces of all dumps are worked on with."""

    engine: duckdb.DuckDBPyConnection
    workers: int
    landed_at: datetime
    pii_key: bytes
    negative_refused: pa.Array

    def processed(
        self, path: Path, format_: str, compression: str | None, file_order: int, expanded_bytes: int
    ) -> Iterator[Processed]:
        """The dump's pieces in their order, worked on side by side: at a time one more than there are workers.

        Raises Unreadable, possibly after some pieces.
        """
        waiting: deque[Future[Processed]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            for piece in READERS[format_].pieces(path, compression, expanded_bytes):
                waiting.append(pool.submit(self._done, format_, file_order, piece))
                if len(waiting) > self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _done(self, format_: str, file_order: int, piece: Piece) -> Processed:
        """One piece worked on, in the lake's form; runs in a worker thread."""
        done = self._process(format_, file_order, piece)
        return done._replace(accepted=stored(self.engine, done.accepted))

    def _process(self, format_: str, file_order: int, piece: Piece) -> Processed:
        """All steps of one piece, by whole columns what is ordinary."""
        split = typed.sort_out(piece, file_order, self.landed_at, self.negative_refused)
        if split.accepted.num_rows == 0:
            return self._process_fully(format_, file_order, piece)
        if split.accepted.num_rows == len(split.is_ordinary):
            return Processed(split.accepted, REJECTED.empty_table(), Counter())
        rest = self._process_fully(format_, file_order, piece.filtered(pc.invert(split.is_ordinary)))
        accepted = pa.concat_tables([split.accepted, rest.accepted]).sort_by("row_number")
        return rest._replace(accepted=accepted)

    def _process_fully(self, format_: str, file_order: int, piece: Piece) -> Processed:
        """By text, whatever the piece holds."""
        redactor = Redactor(self.pii_key)
        with closing(self.engine.cursor()) as engine:
            chunk = READERS[format_].parse(engine, piece)
            if chunk is None:
                return Processed(EVENTS.empty_table(), REJECTED.empty_table(), redactor.detections)
            parameters = {"file_order": file_order, "landed_at": self.landed_at}
            rows = run(engine, sql_file("validate.sql"), "chunk", canonical(engine, chunk.rows), parameters)
        is_accepted = pc.equal(pc.list_value_length(rows["reasons"]), 0)
        return Processed(
            _accepted(rows.filter(is_accepted), redactor),
            _rejected(rows.filter(pc.invert(is_accepted)), redactor, chunk),
            redactor.detections,
        )


def _accepted(rows: pa.Table, redactor: Redactor) -> pa.Table:
    for name in ("dims", "extra"):
        if rows[name].null_count < rows.num_rows:
            column = redact_texts(redactor.json, _array(rows[name]))
            rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    for name in IDENTIFIERS:
        column = redact_identifiers(redactor, _array(rows[name]))
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows.select(EVENTS.names).cast(EVENTS)


def _rejected(rows: pa.Table, redactor: Redactor, chunk: Chunk) -> pa.Table:
    """The rejected records, personal data masked in everything that is kept of them."""
    if rows.num_rows == 0:
        return REJECTED.empty_table()
    if chunk.records:
        places = pc.index_in(rows["row_number"], _array(chunk.rows["row_number"])).to_pylist()
        records = chunk.records(places)
    else:
        records = rows["record"].to_pylist()
    columns = {"record": pa.array(redact_records(redactor, records, chunk.header), pa.binary())}
    silent = Redactor(redactor.key)  # the same values again: not counted twice
    for name in ("detail", "producer", "event_id", "metric"):
        shown = pc.utf8_slice_codeunits(_array(rows[name]), 0, SHOWN)
        columns[name] = redact_texts(silent.text, shown)
    columns["header"] = _header(chunk.header, rows.num_rows, silent)
    return pa.table({name: columns[name] if name in columns else rows[name] for name in REJECTED.names}).cast(REJECTED)


def _header(header: list[str] | None, rows: int, redactor: Redactor) -> pa.Array:
    """What the cells of a CSV record are called, beside each record: without it nobody could read the record again."""
    names = header and [redactor.text(name) for name in header]
    return pa.repeat(pa.scalar(names, pa.list_(pa.string())), rows)


def _array(column: pa.ChunkedArray) -> pa.Array:
    column = column.combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column

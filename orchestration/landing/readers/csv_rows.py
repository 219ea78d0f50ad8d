"""CSV: parsed by the csv module line by line, so that each record's exact bytes are at hand when it is rejected."""

import csv
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from orchestration.landing import fields
from orchestration.landing.readers import source
from orchestration.landing.readers.chunk import Chunk
from orchestration.landing.readers.columns import to_chunk

ROWS_PER_PIECE = 32_768
COLUMNS = 10_000  # more is no header: each record of the dump would be spread over them

csv.field_size_limit(fields.RECORD_LIMIT_BYTES)  # one limit for all formats, not the module's own for a cell


class Row(NamedTuple):
    """One row: its cells, its bytes, why it cannot be read, its true length if it is over the limit."""

    cells: list[str]
    record: bytes
    fault: str | None = None
    too_long: int | None = None


class Rows(NamedTuple):
    """Consecutive data rows of a dump under their header."""

    first_number: int
    rows: list[Row]
    header: list[str]


def pieces(path: Path, compression: str | None, most_bytes: int) -> Iterator[Rows]:
    """The dump's rows, in pieces of about one block; blank lines are no rows. Raises Unreadable without a header."""
    rows = _Rows(path, compression, most_bytes)
    header = _header(next(rows, None))
    next_row = 1
    while batch := rows.take(ROWS_PER_PIECE):
        yield Rows(next_row, batch, header)
        next_row += len(batch)


def _header(row: Row | None) -> list[str]:
    if row is None:
        raise source.Unreadable("no header line")
    if fault := row.fault or ("too long" if row.too_long else _not_text(row.record)):
        raise source.Unreadable(f"the header line is {fault}")
    names = [cell.strip() for cell in row.cells]
    if doubled := sorted(name for name, times in Counter(names).items() if times > 1):
        raise source.Unreadable(f"the header names {', '.join(map(repr, doubled))} more than once")
    if len(names) > COLUMNS:
        raise source.Unreadable(f"the header names {len(names)} columns, more than {COLUMNS}")
    if "" in names:
        raise source.Unreadable(f"column {names.index('') + 1} has no name in the header")
    return names


class _Rows(Iterator[Row]):
    """The rows of a CSV stream with the bytes that each was read from.

    A quote that is never closed would swallow the rows behind it: when a record fails to parse, only its first line
    is taken as malformed and reading goes on with the next line.
    """

    def __init__(self, path: Path, compression: str | None, most_bytes: int) -> None:
        self._source = self._stream(path, compression, most_bytes)
        self._cut_length = 0
        self._again: deque[bytes] = deque()
        self._read: list[bytes] = []
        self._parser = csv.reader(self._lines(), strict=True)

    def _stream(self, path: Path, compression: str | None, most_bytes: int) -> Iterator[bytes]:
        for lines, self._cut_length in source.lines(path, compression, most_bytes, fields.KEPT_RECORD_BYTES):
            yield from lines

    def _lines(self) -> Iterator[str]:
        while True:
            line = self._again.popleft() if self._again else next(self._source, None)
            if line is None:
                return
            self._read.append(line)
            yield line.decode("utf-8", "surrogateescape") + "\n"

    def __next__(self) -> Row:
        while True:
            self._read.clear()
            try:
                cells = next(self._parser)
            except csv.Error as error:
                return self._retreat(str(error))
            record = self._read[0] if len(self._read) == 1 else b"\n".join(self._read)
            if len(record) > fields.RECORD_LIMIT_BYTES:
                return Row([], record, too_long=self._cut_length or len(record))
            if cells and (len(cells) > 1 or cells[0].strip()):
                return Row(cells, record.removesuffix(b"\r"))

    def _retreat(self, fault: str) -> Row:
        first, *others = self._read
        self._again.extendleft(reversed(others))
        self._parser = csv.reader(self._lines(), strict=True)
        if len(first) > csv.field_size_limit():
            return Row([], first, too_long=self._cut_length or len(first))
        return Row([], first.removesuffix(b"\r"), fault=f"not valid CSV: {fault}")

    def take(self, count: int) -> list[Row]:
        """The next rows, at most `count` and about as many as a block of the file holds."""
        rows, size = [], 0
        for _, row in zip(range(count), self, strict=False):
            rows.append(row)
            size += len(row.record)
            if size >= source.BLOCK_BYTES:
                break
        return rows


def parse(engine: duckdb.DuckDBPyConnection, piece: Rows) -> Chunk:
    """The piece's records; row numbers count data rows, an empty cell is an absent value."""
    header, rows, width = piece.header, piece.rows, len(piece.header)
    faults = [row.fault or (None if row.too_long else _fault_of(row.cells, row.record, width)) for row in rows]
    empty = [""] * width
    cells = [empty if fault or row.too_long else row.cells for row, fault in zip(rows, faults, strict=True)]
    columns = {
        name: pa.array([value or None for value in values], pa.string())
        for name, values in zip(header, zip(*cells, strict=True), strict=True)
    }
    bookkeeping = {
        "row_number": pa.array(range(piece.first_number, piece.first_number + len(rows)), pa.int64()),
        "record": pa.array([row.record for row in rows], pa.binary()),
        "unreadable": pa.array(faults, pa.string()),
        "too_long": pa.array([row.too_long for row in rows], pa.int64()),
    }
    return Chunk(to_chunk(engine, bookkeeping, columns, tokens=set()), header=header)


def _fault_of(cells: list[str], record: bytes, width: int) -> str | None:
    if len(cells) != width:
        return f"{len(cells)} cells under a header of {width}"
    return None if record.isascii() else _not_text(record)


def _not_text(record: bytes) -> str | None:
    try:
        record.decode()
    except UnicodeDecodeError as error:
        return f"not valid UTF-8 at byte {error.start + 1}"
    return None

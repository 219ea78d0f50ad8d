"""CSV: runs of plain lines, of which each is a record, are cut off as they are; all else is parsed by the csv module line by
line, so that each record's exact bytes are at hand when it is rejected.
"""

import csv
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv

from orchestration.landing import fields
from orchestration.landing.readers import source
from orchestration.landing.readers.chunk import Chunk
from orchestration.landing.readers.columns import to_chunk
from orchestration.landing.readers.lines import FEED, LEAST, RETURN, Lines, is_text, lines_of, of_text

ROWS_PER_PIECE = 32_768
LEAST_RUN_BYTES = 32_768  # a shorter run of plain lines stays with the odd lines around it
COLUMNS = 10_000  # more is no header: each record of the dump would be spread over them

QUOTE, BLANK, NO_ASCII = ord('"'), ord(" "), 0x7F

csv.field_size_limit(fields.RECORD_LIMIT_BYTES)  # one limit for all formats, not the module's own for a cell


class Row(NamedTuple):
    """One row: its cells, its bytes, why it cannot be read, its true length if it is over the limit."""

    cells: list[str]
    record: bytes
    fault: str | None = None
    too_long: int | None = None


class Rows(NamedTuple):
    """Data rows of a dump under their header, cut off by the csv module."""

    numbers: pa.Array
    rows: list[Row]
    header: list[str]

    def fit(self) -> None:
        """All may be."""

    def columns(self) -> pa.RecordBatch | None:
        """The cells as text, an empty one as null; null where a row has a fault."""
        if any(row.too_long or _fault_of(row, len(self.header)) for row in self.rows):
            return None
        return pa.RecordBatch.from_pydict(_columns(self.header, [row.cells for row in self.rows]))

    def halves(self) -> list["Rows"]:
        """The first and the second half; nothing where so few rows are not worth it."""
        middle = len(self.rows) // 2
        if middle < LEAST // 2:
            return []
        return [
            Rows(self.numbers[:middle], self.rows[:middle], self.header),
            Rows(self.numbers[middle:], self.rows[middle:], self.header),
        ]

    def filtered(self, mask: pa.Array) -> "Rows":
        return Rows(self.numbers.filter(mask), list(compress(self.rows, mask.to_pylist())), self.header)


class Run(NamedTuple):
    """Consecutive plain lines of a dump, each a data row, under their header."""

    lines: Lines
    header: list[str]

    @property
    def numbers(self) -> pa.Array:
        return pa.array(self.lines.numbers)

    @property
    def rows(self) -> list[Row]:
        """What the csv module makes of the lines."""
        return list(_Rows(iter([(self.lines.text, 0)])))

    def fit(self) -> None:
        """All may be."""

    def columns(self) -> pa.RecordBatch | None:
        """The cells as text, an empty one as null. Raises ArrowInvalid where a line has too many or too few."""
        if self.lines.longest > fields.RECORD_LIMIT_BYTES or not is_text(self.lines.text):
            return None
        text = pa.py_buffer(self.lines.text)
        table = pa.csv.read_csv(
            pa.BufferReader(text),
            pa.csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=self.header),
            pa.csv.ParseOptions(quote_char=False, double_quote=False, ignore_empty_lines=False),
            pa.csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(self.header, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
        return table.combine_chunks().to_batches()[0] if table.num_rows == len(self.lines) else None

    def halves(self) -> list["Run"]:
        return [self._replace(lines=half) for half in self.lines.halves()]

    def filtered(self, mask: pa.Array) -> "Run":
        return self._replace(lines=self.lines.filtered(mask))


def pieces(path: Path, compression: str | None, most_bytes: int) -> Iterator[Rows | Run]:
    """The dump's rows, in pieces of at most about one block; blank lines are no rows. Raises Unreadable without a header."""
    rows = _Rows(source.lines(path, compression, most_bytes, fields.KEPT_RECORD_BYTES))
    header = _header(next(rows, None))
    next_row = 1
    while not rows.at_end():
        if run := rows.take_run():
            lines = of_text(run, next_row)
            next_row += len(lines)
            for start in range(0, len(lines), ROWS_PER_PIECE):
                yield Run(lines.sliced(start, min(start + ROWS_PER_PIECE, len(lines))), header)
        elif batch := rows.take(ROWS_PER_PIECE):
            yield Rows(pa.array(np.arange(next_row, next_row + len(batch))), batch, header)
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

    def __init__(self, texts: Iterator[tuple[bytes, int]]) -> None:
        """`texts` are whole lines joined by line feeds, as source.lines gives them."""
        self._texts = texts
        self._text, self._cut_length = b"", 0  # the text at hand
        self._place = 1  # where its next line starts
        self._odd: list[int] = []  # where its odd lines start, and its end
        self._again: deque[bytes] = deque()
        self._read: list[bytes] = []
        self._parser = csv.reader(self._lines(), strict=True)

    def _at_end_of_text(self) -> bool:
        """Whether there is no line left, even after the next text was taken up."""
        if self._place <= len(self._text):
            return False
        following = next(self._texts, None)
        if following is None:
            return True
        self._text, self._cut_length = following
        self._place = 0
        self._odd = [*([0] if self._cut_length else _odd_lines(self._text)), len(self._text) + 1]
        return False

    def at_end(self) -> bool:
        """Whether there is no line left."""
        return not self._again and self._at_end_of_text()

    def _next_line(self) -> bytes | None:
        if self._at_end_of_text():
            return None
        end = self._text.find(b"\n", self._place)
        end = len(self._text) if end < 0 else end
        line = self._text[self._place : end]
        self._place = end + 1
        return line

    def _lines(self) -> Iterator[str]:
        while True:
            line = self._again.popleft() if self._again else self._next_line()
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

    def take_run(self) -> bytes | None:
        """The plain lines that come next, where they are many."""
        if not self._run_comes():
            return None
        odd = self._next_odd()
        run, self._place = self._text[self._place : odd - 1], odd
        return run

    def _run_comes(self) -> bool:
        if self._again or self._at_end_of_text():
            return False
        return self._next_odd() - self._place >= LEAST_RUN_BYTES

    def _next_odd(self) -> int:
        return self._odd[bisect_left(self._odd, self._place)]

    def take(self, count: int) -> list[Row]:
        """The next rows up to a run of plain lines, at most `count` and about as many as a block of the file holds."""
        rows, size = [], 0
        for _, row in zip(range(count), self, strict=False):
            rows.append(row)
            size += len(row.record)
            if size >= source.BLOCK_BYTES or self._run_comes():
                break
        return rows


def parse(engine: duckdb.DuckDBPyConnection, piece: Rows | Run) -> Chunk:
    """The piece's records; row numbers count data rows, an empty cell is an absent value."""
    header, width = piece.header, len(piece.header)
    rows = piece.rows
    faults = [_fault_of(row, width) for row in rows]
    empty = [""] * width
    cells = [empty if fault or row.too_long else row.cells for row, fault in zip(rows, faults, strict=True)]
    bookkeeping = {
        "row_number": piece.numbers,
        "record": pa.array([row.record for row in rows], pa.binary()),
        "unreadable": pa.array(faults, pa.string()),
        "too_long": pa.array([row.too_long for row in rows], pa.int64()),
    }
    return Chunk(to_chunk(engine, bookkeeping, _columns(header, cells), tokens=set()), header=header)


def _columns(header: list[str], cells: list[list[str]]) -> dict[str, pa.Array]:
    return {
        name: pa.array([value or None for value in values], pa.string())
        for name, values in zip(header, zip(*cells, strict=True), strict=True)
    }


def _odd_lines(text: bytes) -> list[int]:
    """Where the lines start that may not be one record each.

    Those are lines with a quote or with a carriage return before their end, and what may be blank: lines that begin with
    anything but a visible ASCII character.
    """
    signs = np.frombuffer(text, np.uint8)
    starts = np.append(0, np.flatnonzero(signs == FEED) + 1)
    first = signs[starts] if starts[-1] < len(text) else np.append(signs[starts[:-1]], FEED)
    is_odd = (first <= BLANK) | (first >= NO_ASCII)
    if b"\r" in text:
        returns = np.flatnonzero(signs[:-1] == RETURN)
        is_odd[lines_of(returns[signs[returns + 1] != FEED], starts)] = True
    if b'"' in text:
        is_odd[lines_of(np.flatnonzero(signs == QUOTE), starts)] = True
    return starts[is_odd].tolist()


def _fault_of(row: Row, width: int) -> str | None:
    if row.fault or row.too_long:
        return row.fault
    if len(row.cells) != width:
        return f"{len(row.cells)} cells under a header of {width}"
    return None if row.record.isascii() else _not_text(row.record)


def _not_text(record: bytes) -> str | None:
    try:
        record.decode()
    except UnicodeDecodeError as error:
        return f"not valid UTF-8 at byte {error.start + 1}"
    return None

"""Parquet: columns become text without loss; a decimal keeps its digits, a double its shortest form."""

import base64
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestration.landing import exact_json, fields
from orchestration.landing.readers.chunk import Chunk
from orchestration.landing.readers.columns import to_chunk
from orchestration.landing.readers.source import Allowance, Unreadable

ROWS_PER_PIECE = 32_768
BYTES_PER_PIECE = 32 << 20
COLUMNS = 10_000
LAST_SECOND = 253_402_300_799  # of the year 9999
PER_SECOND = {"s": 1, "ms": 1000}
LEAST_ROW_BYTES = 64  # a row of nulls takes no room in memory, but a rejected record in the lake


class Batch(NamedTuple):
    """Rows of a dump, in their order, and their numbers: row index + 1."""

    numbers: pa.Array
    rows: pa.RecordBatch

    def fit(self) -> None:
        """All are."""

    def columns(self) -> pa.RecordBatch:
        """The rows as they are."""
        return self.rows

    def halves(self) -> list["Batch"]:
        """None: whether rows can be told by their columns is a matter of the columns' types."""
        return []

    def filtered(self, mask: pa.Array) -> "Batch":
        """The rows where the mask is true."""
        return Batch(self.numbers.filter(mask), self.rows.filter(mask))


def pieces(path: Path, compression: str | None, most_bytes: int) -> Iterator[Batch]:
    """The dump's rows in batches. Raises Unreadable."""
    with _opened(path) as file:
        allowance = Allowance(path.stat().st_size, "parquet", most_bytes)
        next_row = 1
        for batch in file.iter_batches(batch_size=_rows_per_piece(file.metadata, allowance)):
            allowance.spend(max(batch.nbytes, batch.num_rows * LEAST_ROW_BYTES))
            yield Batch(pa.array(np.arange(next_row, next_row + batch.num_rows)), batch)
            next_row += batch.num_rows
        if next_row - 1 != file.metadata.num_rows:
            raise Unreadable(f"its footer tells of {file.metadata.num_rows} rows, but {next_row - 1} can be read")


def column_names(path: Path) -> list[str]:
    """The names of the file's columns. Raises Unreadable."""
    with _opened(path) as file:
        return file.schema_arrow.names


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """The file; whatever it turns out to be broken by is Unreadable."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            if doubled := sorted(name for name, times in Counter(names).items() if times > 1):
                raise Unreadable(f"the column {doubled[0]!r} stands twice")
            if len(names) > COLUMNS:
                raise Unreadable(f"{len(names)} columns, more than {COLUMNS}")
            yield file
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"not a readable Parquet file: {str(error).splitlines()[0][:200]}") from None


def _rows_per_piece(metadata: pq.FileMetaData, allowance: Allowance) -> int:
    """So many rows that a piece stays small, by what the file says of its own size; what it says may be too much."""
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    if (told := sum(group.num_rows for group in groups)) != metadata.num_rows:  # reading would leave rows out, unsaid
        raise Unreadable(f"its footer tells of {metadata.num_rows} rows, but of {told} in its row groups")
    announced = sum(max(0, group.total_byte_size) for group in groups)
    allowance.check(max(announced, metadata.num_rows * LEAST_ROW_BYTES))
    return max(1, min(ROWS_PER_PIECE, BYTES_PER_PIECE * metadata.num_rows // max(1, announced)))


def parse(engine: duckdb.DuckDBPyConnection, piece: Batch) -> Chunk:
    """The batch's records; a null is an absent value.

    The record of a row, which has no bytes of its own, is its JSON text.
    """
    batch, columns, tokens = piece.rows, {}, set()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        columns[name], is_token = as_text(column)
        if is_token:
            tokens.add(name)
    too_long = _too_long(batch.num_rows, columns)
    if too_long.null_count < batch.num_rows:
        columns = {name: pc.if_else(too_long.is_null(), column, None) for name, column in columns.items()}
    bookkeeping = {
        "row_number": piece.numbers,
        "record": pa.nulls(batch.num_rows, pa.binary()),
        "too_long": too_long,
        "misshapen": _misshapen(batch),
    }
    return Chunk(to_chunk(engine, bookkeeping, columns, tokens), lambda rows: _records(batch, rows))


def _too_long(rows: int, columns: dict[str, pa.Array]) -> pa.Array:
    """Per row the length of its texts where they are longer than a record may be."""
    longest = sum(pc.max(pc.binary_length(column)).as_py() or 0 for column in columns.values())
    if longest <= fields.RECORD_LIMIT_BYTES:
        return pa.nulls(rows, pa.int64())
    lengths = pa.array(np.zeros(rows, np.int64))
    for column in columns.values():
        lengths = pc.add(lengths, pc.fill_null(pc.binary_length(column), 0).cast(pa.int64()))
    return pc.if_else(pc.greater(lengths, fields.RECORD_LIMIT_BYTES), lengths, pa.scalar(None, pa.int64()))


def _records(batch: pa.RecordBatch, rows: list[int]) -> list[bytes]:
    """The JSON texts of some rows, by their place in the batch."""
    some = batch.take(pa.array(rows, pa.int64()))
    texts = {name: _json_texts(column) for name, column in zip(some.schema.names, some.columns, strict=True)}
    members = {name: exact_json.dump(name) for name in sorted(texts)}
    return [
        ("{" + ",".join(f"{members[n]}:{texts[n][row]}" for n in members if texts[n][row] is not None) + "}").encode()[
            : fields.KEPT_RECORD_BYTES
        ]
        for row in range(len(rows))
    ]


def _misshapen(batch: pa.RecordBatch) -> pa.Array:
    """Per row the name of a contract field that holds a structure where text is due."""
    found = pa.nulls(batch.num_rows, pa.string())
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in fields.TEXT_FIELDS and name not in fields.JUDGED_BY_VALUE and pa.types.is_nested(column.type):
            found = pc.if_else(column.is_valid(), pa.scalar(name), found)
    return found


def as_text(column: pa.Array) -> tuple[pa.Array, bool]:
    """The column as text, and whether that text is a JSON value as it stands (numbers, booleans, nested values)."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return as_text(column.dictionary_decode())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string()), False
    if pa.types.is_timestamp(kind):
        return _instants(column), False
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.string()), True
    if pa.types.is_floating(kind):
        column = column.cast(pa.float32()) if kind == pa.float16() else column
        text = column.cast(pa.string())
        # NaN and the infinities are no JSON numbers: quoted they stay what they are, and quantity refuses them
        return pc.if_else(pc.is_finite(column), text, pc.binary_join_element_wise('"', text, '"', "")), True
    if pa.types.is_nested(kind):
        return pa.array(_json_texts(column), pa.string()), True
    return pa.array([None if value is None else str(_jsonable(value)) for value in _values(column)], pa.string()), False


def _instants(column: pa.Array) -> pa.Array:
    """Times as ISO 8601 in UTC; nanoseconds are cut off, and what no calendar holds is shown as the number it is."""
    if column.type.unit in ("s", "ms"):  # in microseconds a time beyond the year 9999 could wrap around
        numbers = column.cast(pa.int64())
        last = LAST_SECOND * PER_SECOND[column.type.unit]
        fits = pc.and_(pc.less_equal(numbers, last), pc.greater_equal(numbers, -last))
        if pc.any(pc.invert(fits)).as_py():
            shown = pc.binary_join_element_wise("no time: ", numbers.cast(pa.string()), "")
            return pc.if_else(fits, _instants(pc.if_else(fits, column, pa.scalar(None, column.type))), shown)
    return column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.string())


def _json_texts(column: pa.Array) -> list[str | None]:
    return [None if value is None else to_json(value) for value in _values(column)]


def _values(column: pa.Array) -> list[Any]:
    try:
        return column.to_pylist(maps_as_pydicts="strict")
    except KeyError:  # a map that holds a key twice stays a list of pairs
        return column.to_pylist()
    except (OverflowError, ValueError):  # a date or time that Python has not
        if pa.types.is_nested(column.type):
            raise
        texts = _instants(column) if pa.types.is_timestamp(column.type) else column.cast(pa.string())
        return texts.to_pylist()


def to_json(value: Any) -> str:
    """A Parquet value as compact JSON with sorted keys; null members of a structure are absent ones."""
    return exact_json.dump(_jsonable(value))


def _jsonable(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | Decimal):
        return exact_json.Number(value)
    if isinstance(value, float):
        return exact_json.Number(repr(value)) if math.isfinite(value) else repr(value)
    if isinstance(value, dict):
        return {str(name): _jsonable(member) for name, member in value.items() if member is not None}
    if isinstance(value, list | tuple):
        return [_jsonable(member) for member in value]
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return str(value)

"""Parquet: columns become text without loss; a decimal keeps its digits, a double its shortest form."""

import base64
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestration.landing import exact_json, fields
from orchestration.landing.readers.chunk import Chunk
from orchestration.landing.readers.columns import to_chunk
from orchestration.landing.readers.source import Unreadable

ROWS_PER_PIECE = 32_768


class Batch(NamedTuple):
    """Consecutive rows of a dump."""

    first_number: int
    rows: pa.RecordBatch


def pieces(path: Path, compression: str | None) -> Iterator[Batch]:
    """The dump's rows in batches. Raises Unreadable."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            if doubled := sorted({name for name in names if names.count(name) > 1}):
                raise Unreadable(f"the column {doubled[0]!r} stands twice")
            next_row = 1
            for batch in file.iter_batches(batch_size=ROWS_PER_PIECE):
                yield Batch(next_row, batch)
                next_row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(f"not a readable Parquet file: {str(error).splitlines()[0][:200]}") from None


def parse(engine: duckdb.DuckDBPyConnection, piece: Batch) -> Chunk:
    """The batch's records; row numbers are row index + 1, a null is an absent value.

    The record of a row, which has no bytes of its own, is its JSON text.
    """
    batch, columns, tokens = piece.rows, {}, set()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        columns[name], is_token = as_text(column)
        if is_token:
            tokens.add(name)
    bookkeeping = {
        "row_number": pa.array(range(piece.first_number, piece.first_number + batch.num_rows), pa.int64()),
        "record": pa.nulls(batch.num_rows, pa.binary()),
        "too_long": pa.nulls(batch.num_rows, pa.int64()),
        "misshapen": _misshapen(batch),
    }
    return Chunk(to_chunk(engine, bookkeeping, columns, tokens), lambda rows: _records(batch, rows))


def _records(batch: pa.RecordBatch, rows: list[int]) -> list[bytes]:
    """The JSON texts of some rows, by their place in the batch."""
    some = batch.take(pa.array(rows, pa.int64()))
    texts = {name: _json_texts(column) for name, column in zip(some.schema.names, some.columns, strict=True)}
    members = {name: exact_json.dump(name) for name in sorted(texts)}
    return [
        ("{" + ",".join(f"{members[n]}:{texts[n][row]}" for n in members if texts[n][row] is not None) + "}").encode()
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
        return column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.string()), False
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.string()), True
    if pa.types.is_floating(kind):
        column = column.cast(pa.float32()) if kind == pa.float16() else column
        text = column.cast(pa.string())
        # NaN and the infinities are no JSON numbers: quoted they stay what they are, and quantity refuses them
        return pc.if_else(pc.is_finite(column), text, pc.binary_join_element_wise('"', text, '"', "")), True
    if pa.types.is_nested(kind):
        return pa.array(_json_texts(column), pa.string()), True
    return pa.array(
        [None if value is None else str(_jsonable(value)) for value in column.to_pylist()], pa.string()
    ), False


def _json_texts(column: pa.Array) -> list[str | None]:
    try:
        values = column.to_pylist(maps_as_pydicts="strict")
    except KeyError:  # a map that holds a key twice stays a list of pairs
        values = column.to_pylist()
    return [None if value is None else to_json(value) for value in values]


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

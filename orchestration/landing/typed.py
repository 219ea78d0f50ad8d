"""The short way of typed dumps: rows of a Parquet batch that are plainly ordinary are judged by whole columns.

Ordinary is what validate.sql accepts as it stands and pii.py leaves alone: fields of the contract with their own types, no
dims, nothing unknown. Whatever is not plainly so goes the full way, which decides; the two agree (test_typed.py).
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.landing import fields
from orchestration.landing.lake import EVENTS
from orchestration.landing.pii import ADDRESS_SIGN, IDENTIFIERS

REQUIRED = ("event_id", "producer", "event_ts", "metric", "quantity", "unit")
TEXTS = tuple(
    field.name for field in EVENTS if field.type == pa.string() and field.name not in ("event_id", "dims", "extra")
)
INSTANTS, NUMBERS = ("event_ts", "ingested_ts"), ("quantity", "sampling_rate")
TAKEN = {*TEXTS, "event_id", *INSTANTS, *NUMBERS, "schema_version", "dims"}
FIRST_TS = datetime(2000, 1, 1)
CALENDAR = (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999))
LONGEST = {"event_id": 256} | dict.fromkeys(TEXTS, 4096)


class Split(NamedTuple):
    """`accepted`: the ordinary rows as they go to the lake; `is_ordinary`: per row of the batch."""

    accepted: pa.Table
    is_ordinary: pa.Array


def split(
    batch: pa.RecordBatch, numbers: pa.Array, file_order: int, landed_at: datetime, refused: pa.Array
) -> Split | None:
    """The ordinary rows of a batch; null where its columns are not of a kind to tell by. `refused`: metrics never negative."""
    given = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns = {name: column for name, column in given.items() if column.null_count < batch.num_rows}
    if not columns.keys() <= TAKEN or not set(REQUIRED) <= columns.keys():
        return None
    try:
        columns = {name: _typed(name, column) for name, column in columns.items() if name != "dims"}
    except (pa.ArrowInvalid, _Untyped):
        return None
    lengths = {name: pc.binary_length(columns[name]) for name in LONGEST if name in columns}
    if sum(pc.max(length).as_py() for length in lengths.values()) > fields.RECORD_LIMIT_BYTES // 2:
        return None
    is_ordinary = pa.array([True] * batch.num_rows) if "dims" not in given else given["dims"].is_null()
    for condition in _conditions(columns, lengths, landed_at, refused):
        is_ordinary = pc.and_(is_ordinary, condition)
    accepted = _accepted(columns, numbers, file_order)
    return Split(accepted if is_ordinary.true_count == batch.num_rows else accepted.filter(is_ordinary), is_ordinary)


class _Untyped(Exception):
    """A column holds its values in another type than its own."""


def _typed(name: str, column: pa.Array) -> pa.Array:
    """The column in the lake's type, without loss. Raises _Untyped or ArrowInvalid."""
    kind = column.type
    if name in LONGEST:
        if pa.types.is_dictionary(kind):
            return _typed(name, column.dictionary_decode())
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            column = column.cast(pa.string())
            column.validate(full=True)
            return column
    if name in INSTANTS and pa.types.is_timestamp(kind):
        # nanoseconds are cut off; a time that microseconds do not hold raises
        return column.cast(pa.timestamp("us", "UTC"), safe=kind.unit != "ns").cast(pa.timestamp("us"))
    if name in NUMBERS and (pa.types.is_decimal(kind) or pa.types.is_integer(kind)):
        return column.cast(EVENTS.field(name).type)
    if name == "schema_version" and pa.types.is_integer(kind):
        return column.cast(pa.int16())
    raise _Untyped(name)


def _conditions(
    columns: dict[str, pa.Array], lengths: dict[str, pa.Array], landed_at: datetime, refused: pa.Array
) -> list[pa.Array]:
    """What must hold of an ordinary row; null counts as no."""
    event_ts, quantity, metric = (columns[name] for name in ("event_ts", "quantity", "metric"))
    known_at = columns.get("ingested_ts", pa.nulls(len(event_ts), pa.timestamp("us")))
    latest = pc.min_element_wise(
        pc.add(pc.fill_null(known_at, landed_at), timedelta(hours=24)), pa.scalar(CALENDAR[1], pa.timestamp("us"))
    )
    found = [
        pc.and_(pc.greater_equal(event_ts, pa.scalar(FIRST_TS, pa.timestamp("us"))), pc.less_equal(event_ts, latest)),
        pc.or_(pc.greater_equal(quantity, pa.scalar(0, quantity.type)), pc.invert(pc.is_in(metric, refused))),
    ]
    # so far from the calendar's ends that a day more is still on it
    first, last = (pa.scalar(end, pa.timestamp("us")) for end in (CALENDAR[0], CALENDAR[1] - timedelta(days=2)))
    found.append(_null_or(known_at, pc.and_(pc.greater_equal(known_at, first), pc.less_equal(known_at, last))))
    for name, length in lengths.items():
        fits = pc.less_equal(length, LONGEST[name])
        found.append(pc.and_(fits, pc.greater(length, 0)) if name in REQUIRED else _null_or(length, fits))
    for name in IDENTIFIERS:
        if name in columns:
            found.append(_null_or(columns[name], pc.invert(pc.match_substring_regex(columns[name], ADDRESS_SIGN))))
    if rate := columns.get("sampling_rate"):
        none, all_ = (pa.scalar(number, rate.type) for number in (0, 1))
        found.append(_null_or(rate, pc.and_(pc.greater(rate, none), pc.less_equal(rate, all_))))
    if version := columns.get("schema_version"):
        found.append(_null_or(version, pc.equal(version, 2)))
    return [pc.fill_null(condition, False) for condition in found]


def _null_or(column: pa.Array, condition: pa.Array) -> pa.Array:
    return pc.or_kleene(column.is_null(), condition)


def _accepted(columns: dict[str, pa.Array], numbers: pa.Array, file_order: int) -> pa.Table:
    """All rows as the lake has them; an empty text is an absent one."""
    count = len(numbers)
    made = {
        "file_order": pa.repeat(pa.scalar(file_order, pa.int32()), count),
        "row_number": numbers,
        "schema_version": pa.repeat(pa.scalar(2, pa.int16()), count),
    }
    for name in (name for name in EVENTS.names if name not in made):
        column = columns.get(name, pa.nulls(count, EVENTS.field(name).type))
        if name in TEXTS and pc.any(pc.equal(column, "")).as_py():
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
        made[name] = column
    return pa.table(made, schema=EVENTS)

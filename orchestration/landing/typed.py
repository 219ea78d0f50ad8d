"""The short way: records that are plainly ordinary are judged by whole columns.

Ordinary is what validate.sql accepts as it stands and pii.py leaves alone: fields of the contract with their own types, or
as text in the most usual form, no dims, nothing unknown. Whatever is not plainly so goes the full way, which decides; the
two agree (test_typed.py, test_short_ways.py).
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.landing import fields
from orchestration.landing.lake import EVENTS
from orchestration.landing.pii import ADDRESS_SIGN, IDENTIFIERS
from orchestration.landing.readers.chunk import Piece

REQUIRED = ("event_id", "producer", "event_ts", "metric", "quantity", "unit")
TEXTS = tuple(
    field.name for field in EVENTS if field.type == pa.string() and field.name not in ("event_id", "dims", "extra")
)
INSTANTS, NUMBERS = ("event_ts", "ingested_ts"), ("quantity", "sampling_rate")
TAKEN = {*TEXTS, "event_id", *INSTANTS, *NUMBERS, "schema_version"}  # an ordinary row has nothing else
FIRST_TS = datetime(2000, 1, 1)
CALENDAR = (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999))
LONGEST = {"event_id": 256} | dict.fromkeys(TEXTS, 4096)
LARGEST = Decimal("99999999999999999999999999999.999999999")  # 29 digits before the point; the type holds some of 30
PLAIN_NUMBER = r"^-?[0-9]{1,29}(\.[0-9]{1,9})?$"
# What Arrow reads as a time with offset and is so long has minutes at least, as in validate.sql; a shorter one may not.
LEAST_INSTANT = len("2026-09-01T00:00:00Z")


class Split(NamedTuple):
    """`accepted`: the ordinary rows as they go to the lake; `is_ordinary`: per row of the batch."""

    accepted: pa.Table
    is_ordinary: pa.BooleanArray


def sort_out(piece: Piece, file_order: int, landed_at: datetime, refused: pa.Array) -> Split:
    """The ordinary records of a piece. One that has no columns is halved: an odd record costs its neighbours only."""
    numbers, fit = piece.numbers, piece.fit()
    if fit is not None:
        if not fit.true_count:
            return _nothing(len(numbers))
        found = sort_out(piece.filtered(fit), file_order, landed_at, refused)
        return Split(found.accepted, pc.replace_with_mask(pa.repeat(False, len(numbers)), fit, found.is_ordinary))
    try:
        batch = piece.columns()
        found = None if batch is None else split(batch, numbers, file_order, landed_at, refused)
    except MemoryError:
        raise
    except pa.ArrowException:
        found = None
    if found:
        return found
    halves = [sort_out(half, file_order, landed_at, refused) for half in piece.halves()]
    if not halves:
        return _nothing(len(numbers))
    return Split(
        pa.concat_tables([half.accepted for half in halves]), pa.concat_arrays([half.is_ordinary for half in halves])
    )


def split(
    batch: pa.RecordBatch, numbers: pa.Array, file_order: int, landed_at: datetime, refused: pa.Array
) -> Split | None:
    """The ordinary rows of a batch; null where its columns are not of a kind to tell by. `refused`: metrics never negative."""
    given = dict(zip(batch.schema.names, batch.columns, strict=True))
    filled = {name: column for name, column in given.items() if column.null_count < batch.num_rows}
    columns = {name: column for name, column in filled.items() if name in TAKEN}
    if not set(REQUIRED) <= columns.keys():
        return _nothing(batch.num_rows)
    is_ordinary = pa.repeat(True, batch.num_rows)
    for name in filled.keys() - TAKEN:
        is_ordinary = pc.and_(is_ordinary, filled[name].is_null())
    for name in READ_OFF.keys() & columns.keys():
        if _is_text(columns[name].type):
            is_plain = READ_OFF[name](columns[name])
            is_ordinary = pc.and_(is_ordinary, is_plain)
            columns[name] = pc.if_else(is_plain, columns[name], None)
    try:
        columns = {name: _typed(name, column) for name, column in columns.items()}
    except (pa.ArrowInvalid, _Untyped):
        return None
    lengths = {name: pc.binary_length(columns[name]) for name in LONGEST if name in columns}
    if sum(pc.max(length).as_py() for length in lengths.values()) > fields.RECORD_LIMIT_BYTES // 2:
        return None
    for condition in _conditions(columns, lengths, landed_at, refused):
        is_ordinary = pc.and_(is_ordinary, condition)
    accepted = _accepted(columns, numbers, file_order)
    return Split(accepted if is_ordinary.true_count == batch.num_rows else accepted.filter(is_ordinary), is_ordinary)


def _nothing(rows: int) -> Split:
    return Split(EVENTS.empty_table(), pa.repeat(False, rows))


class _Untyped(Exception):
    """A column holds its values in another type than its own."""


def _typed(name: str, column: pa.Array) -> pa.Array:
    """The column in the lake's type, without loss. Raises _Untyped or ArrowInvalid."""
    kind = column.type
    if name in LONGEST:
        if pa.types.is_dictionary(kind):
            return _typed(name, column.dictionary_decode())
        if _is_text(kind):
            column = column.cast(pa.string())
            column.validate(full=True)
            return column
    if name in INSTANTS and _is_text(kind):
        return column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    if name in INSTANTS and pa.types.is_timestamp(kind):
        # nanoseconds are cut off; a time that microseconds do not hold raises
        return column.cast(pa.timestamp("us", "UTC"), safe=kind.unit != "ns").cast(pa.timestamp("us"))
    if name in NUMBERS and (pa.types.is_decimal(kind) or pa.types.is_integer(kind) or _is_text(kind)):
        return column.cast(EVENTS.field(name).type)
    if name == "schema_version" and (pa.types.is_integer(kind) or _is_text(kind)):
        return column.cast(pa.int16())
    raise _Untyped(name)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_plain_number(column: pa.Array) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(column, PLAIN_NUMBER), True)


def _is_plain_instant(column: pa.Array) -> pa.Array:
    return pc.fill_null(pc.greater_equal(pc.binary_length(column), LEAST_INSTANT), True)


def _is_plain_version(column: pa.Array) -> pa.Array:
    return pc.fill_null(pc.equal(column, "2"), True)


# By name: whether a text is null or has the usual form of what it stands for.
READ_OFF = {
    "schema_version": _is_plain_version,
    **dict.fromkeys(INSTANTS, _is_plain_instant),
    **dict.fromkeys(NUMBERS, _is_plain_number),
}


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
        pc.less_equal(pc.abs(quantity), pa.scalar(LARGEST, quantity.type)),
    ]
    # so far from the calendar's ends that a day more is still on it
    first, last = (pa.scalar(end, pa.timestamp("us")) for end in (CALENDAR[0], CALENDAR[1] - timedelta(days=2)))
    found.append(_null_or(known_at, pc.and_(pc.greater_equal(known_at, first), pc.less_equal(known_at, last))))
    for name, length in lengths.items():
        fits = pc.less_equal(length, LONGEST[name])
        found.append(pc.and_(fits, pc.greater(length, 0)) if name in REQUIRED else _null_or(length, fits))
    for name in IDENTIFIERS:
        if name in columns and _may_hold_address(columns[name]):
            found.append(_null_or(columns[name], pc.invert(pc.match_substring_regex(columns[name], ADDRESS_SIGN))))
    if rate := columns.get("sampling_rate"):
        none, all_ = (pa.scalar(number, rate.type) for number in (0, 1))
        found.append(_null_or(rate, pc.and_(pc.greater(rate, none), pc.less_equal(rate, all_))))
    if version := columns.get("schema_version"):
        found.append(_null_or(version, pc.equal(version, 2)))
    return [pc.fill_null(condition, False) for condition in found]


def _may_hold_address(column: pa.Array) -> bool:
    """Whether a byte without which ADDRESS_SIGN matches nothing is among all texts: a fiftieth of the pattern's cost."""
    texts = column.buffers()[2]
    found = texts.to_pybytes() if texts else b""
    return any(sign in found for sign in (b"@", b"%", b"\\", b"\xef"))


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

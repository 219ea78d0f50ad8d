"""JSON lines: flat ones of the contract's fields are columns at once; by text, simple ones are taken apart in DuckDB at
once, every other one by the exact parser.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from orchestration.landing import exact_json, fields, simple_json
from orchestration.landing.engine import run
from orchestration.landing.readers import source
from orchestration.landing.readers.chunk import Chunk
from orchestration.landing.readers.lines import Lines, is_text, lines_of, of_text
from orchestration.landing.simple_json import sql_text

LINES_PER_PIECE = 65_536
_BLANKS = (b"", b" ", b"\t", b"\r")
BRACE = ord("{")
# Arrow takes a number from its text into a decimal, digit for digit, or refuses it.
_MEMBERS = pa.json.ParseOptions(fields.MEMBER_TYPES, unexpected_field_behavior="error")


class Objects(NamedTuple):
    """Consecutive lines of a dump, each of which should be an object."""

    lines: Lines

    @property
    def numbers(self) -> pa.Array:
        return pa.array(self.lines.numbers)

    def fit(self) -> pa.Array | None:
        """Flat objects."""
        is_flat = _are_flat_objects(self.lines)
        return None if is_flat.all() else pa.array(is_flat)

    def columns(self) -> pa.RecordBatch | None:
        """The lines' members by name, where each line, a flat object, has fields of the contract only."""
        if _has_odd_exponent(self.lines.text) or not is_text(self.lines.text):
            return None
        text = pa.py_buffer(self.lines.text)
        read = pa.json.ReadOptions(use_threads=False, block_size=max(len(text), 2) + 1)
        table = pa.json.read_json(pa.BufferReader(text), read, _MEMBERS)
        return table.combine_chunks().to_batches()[0] if table.num_rows == len(self.lines) else None

    def halves(self) -> list["Objects"]:
        return [Objects(half) for half in self.lines.halves()]

    def filtered(self, mask: pa.Array) -> "Objects":
        return Objects(self.lines.filtered(mask))


def pieces(path: Path, compression: str | None, most_bytes: int) -> Iterator[Objects]:
    """The dump's lines, in pieces of about one block, or fewer where lines are too short to be events."""
    next_line = 1
    for text, cut_length in source.lines(path, compression, most_bytes, fields.KEPT_RECORD_BYTES):
        lines = of_text(text, next_line, cut_length)
        for start in range(0, len(lines), LINES_PER_PIECE):
            yield Objects(lines.sliced(start, min(start + LINES_PER_PIECE, len(lines))))
        next_line += len(lines)


def _are_flat_objects(lines: Lines) -> np.ndarray:
    """Which lines begin an object, and no second one: then lines and objects are the same, and flat.

    A parser may end at a null byte, so there must be none; without backslashes, text in quotes is what it says.
    """
    if not lines.text or lines.cut_length:
        return np.zeros(len(lines), bool)
    signs, starts = np.frombuffer(lines.text, np.uint8), lines.starts
    is_flat = (signs[np.minimum(starts, len(signs) - 1)] == BRACE) & (lines.ends - starts <= fields.RECORD_LIMIT_BYTES)
    is_brace = signs == BRACE
    if np.count_nonzero(is_brace) != len(lines) or not is_flat.all():
        is_flat &= np.bincount(lines_of(np.flatnonzero(is_brace), starts), minlength=len(lines)) == 1
    for sign in (b"\\", b"\0"):
        if sign in lines.text:
            is_flat[lines_of(np.flatnonzero(signs == ord(sign)), starts)] = False
    return is_flat


def _has_odd_exponent(text: bytes) -> bool:
    """Whether there may be a quoted number such as 1e0x2 or 1e+-2, which Arrow reads though nobody else does.

    One byte is looked for at a tenth of the cost of two.
    """
    return any(sign in text and pair in text for sign, pair in ((b"x", b"0x"), (b"X", b"0X"), (b"+", b"+-")))


def parse(engine: duckdb.DuckDBPyConnection, piece: Objects) -> Chunk | None:
    """The piece's records; row numbers are line numbers, blank lines are no records. Null when there is none."""
    lines, numbers = _records(piece.lines)
    if not lines:
        return None
    if piece.lines.cut_length:
        return Chunk(_table([_too_long(numbers[0], lines[0], piece.lines.cut_length)]))
    bare = pa.table({"row_number": pa.array(numbers, pa.int64()), "record": pa.array(lines, pa.binary())})
    bare = bare.append_column("line", _as_text(bare["record"].combine_chunks()))
    taken = run(engine, _take_apart(), "lines", bare)
    simple = taken["simple"]
    fast = taken.drop_columns(["simple"]).filter(simple).cast(fields.CHUNK_SCHEMA)
    if fast.num_rows == len(lines):
        return Chunk(fast)
    is_simple = simple.to_pylist()
    odd = [_exactly(numbers[place], lines[place]) for place in range(len(lines)) if not is_simple[place]]
    return Chunk(pa.concat_tables([fast, _table(odd)]).sort_by("row_number"))


def _records(piece: Lines) -> tuple[list[bytes], list[int]]:
    """The lines that are records, without carriage return, and their numbers; blank lines are none."""
    lines, numbers = piece.text.split(b"\n"), piece.numbers.tolist()
    if any(line.endswith(b"\r") for line in lines):
        lines = [line.removesuffix(b"\r") for line in lines]
    if any(line[:1] in _BLANKS and not line.strip() for line in lines):
        numbers = [number for number, line in zip(numbers, lines, strict=True) if line.strip()]
        lines = [line for line in lines if line.strip()]
    return lines, numbers


def _as_text(records: pa.BinaryArray) -> pa.Array:
    """The records as text; null where the bytes are not UTF-8, or too many to be parsed."""
    if pc.max(pc.binary_length(records)).as_py() <= fields.RECORD_LIMIT_BYTES:
        try:
            return records.cast(pa.string())
        except pa.ArrowInvalid:
            pass
    return pa.array([_decoded(record) for record in records.to_pylist()], pa.string())


def _decoded(record: bytes) -> str | None:
    if len(record) > fields.RECORD_LIMIT_BYTES:
        return None
    try:
        return record.decode()
    except UnicodeDecodeError:
        return None


@cache
def _take_apart() -> str:
    """The query over `lines` (row_number, record, line) that takes simple lines apart and leaves the others to Python.

    DuckDB reads a JSON number as a double, so the text of a number that may lose digits is cut out of the line itself:
    sound when its key stands there only once. A line for which that fails counts as not simple.
    """
    shape = json.dumps(dict.fromkeys(fields.FIELDS, "VARCHAR"))
    exact = ",\n            ".join(
        f"case when strlen(found.{name}) > 18 or contains(found.{name}, '.') or contains(found.{name}, 'e') "
        f"then regexp_extract_all(line, {sql_text(simple_json.token_of(name))}, 1) end as {name}_tokens"
        for name in fields.EXACT_NUMBERS
    )
    sound = " and ".join(f"coalesce(len({name}_tokens) = 1, true)" for name in fields.EXACT_NUMBERS)
    given = "(" + " + ".join(f"(found.{name} is not null)::integer" for name in fields.FIELDS) + ")"
    mixed = " and ".join(
        "coalesce(" + ", ".join(f"found.{name}" for name in names) + ") is not null"
        for names in (fields.RENAMED_SINCE_V1.keys(), fields.RENAMED_SINCE_V1.values())
    )
    return f"""
    with proven as (
        select
            *,
            coalesce(
                regexp_full_match(line, {sql_text(simple_json.SIMPLE_RECORD)})
                and not regexp_matches(line, {sql_text(simple_json.inexact_number_in(fields.TEXT_FIELDS))}), false
            ) as provable
        from lines
    ),
    found as (
        select
            *,
            case when provable then json_transform(line, {sql_text(shape)}) end as found,
            case when provable then json_keys(line) end as names
        from proven
    ),
    tokens as (
        select
            *,
            -- without a group RE2 needs one pass only
            case
                when starts_with(found.dims, '{{') then regexp_extract(line, {sql_text(simple_json.DIMS)})
            end as dims_found,
            {exact}
        from found
    )
    select
        row_number, record,
        null::varchar as unreadable, null::varchar as misshapen, null::bigint as too_long,
        {", ".join(map(_column, fields.FIELDS))},
        case when len(names) <> {given} or {mixed} then case when has_others(names) then others_of(regexp_replace(
            regexp_replace(line, {sql_text(simple_json.DIMS)}, ''),
            {sql_text(simple_json.BLANKS_OUTSIDE_TEXT)}, '\\1', 'g'
        )) end end as others,
        provable and list_unique(names) = len(names) and {sound} as simple
    from tokens"""


def _column(name: str) -> str:
    """One field as the line holds it; dims with their digits."""
    value = f"found.{name}"
    if name == "dims":
        value = f"coalesce(nullif(substr(dims_found, strpos(dims_found, '{{')), ''), {value})"
    elif name in fields.EXACT_NUMBERS:
        value = f"coalesce(trim({name}_tokens[1], '\"'), {value})"
    return f"{value} as {name}"


def _too_long(number: int, record: bytes, true_length: int) -> dict[str, Any]:
    return {"row_number": number, "record": record, "too_long": true_length}


def _exactly(number: int, record: bytes) -> dict[str, Any]:
    """One record as a row of the chunk, read by the exact parser."""
    row: dict[str, Any] = {"row_number": number, "record": record}
    if len(record) > fields.RECORD_LIMIT_BYTES:
        return _too_long(number, record, len(record))
    try:
        value = exact_json.parse(record.decode())
    except UnicodeDecodeError as error:
        return row | {"unreadable": f"not valid UTF-8 at byte {error.start + 1}"}
    except exact_json.NotExact as error:
        return row | {"unreadable": str(error)}
    if not isinstance(value, dict):
        return row | {"unreadable": "a JSON value, but not an object"}
    if any(exact_json.holds_no_number(value[name]) for name in value if name not in fields.EXACT_NUMBERS):
        return row | {"unreadable": "not valid JSON: NaN and infinities are no JSON numbers"}
    for name in fields.FIELDS:
        member = value.get(name)
        row[name] = member if member is None or isinstance(member, str) else exact_json.dump(member)
        if isinstance(member, dict | list) and name not in fields.JUDGED_BY_VALUE and name != "dims":
            row["misshapen"] = name
    others = [
        {"name": name, "token": exact_json.dump(member)} for name, member in value.items() if name not in fields.COMMON
    ]
    return row | {"others": others}


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, fields.CHUNK_SCHEMA)

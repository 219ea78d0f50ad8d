"""Puts a chunk's free texts into the one form in which validate.sql takes them: dims, and numbers with an exponent."""

from decimal import Decimal, InvalidOperation

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.landing import exact_json, fields
from orchestration.landing.engine import run
from orchestration.landing.simple_json import BLANKS_OUTSIDE_TEXT, COMPACT_PAIR, FLAT_OBJECT, sql_text

# Null where the text is not a flat object without backslashes or names a key twice: those go to the exact parser.
_SORT_KEYS = f"""
    with proven as (select row_number, dims, regexp_full_match(dims, {sql_text(FLAT_OBJECT)}) as is_flat from chunk),
    minified as (
        select *, case when is_flat and regexp_matches(dims, '[ \t\r\n]') then json(dims)::varchar end as shorter
        from proven
    ),
    compacted as (
        select
            row_number,
            case
                when not is_flat then null
                when shorter is null then dims
                -- DuckDB writes numbers anew: its text is right where it differs from the dump's by blanks alone
                when replace(shorter, ' ', '') = replace(dims, ' ', '') then shorter
                else regexp_replace(dims, {sql_text(BLANKS_OUTSIDE_TEXT)}, '\\1', 'g')
            end as compact
        from minified
    ),
    paired as (select *, list_sort(regexp_extract_all(compact, {sql_text(COMPACT_PAIR)})) as pairs from compacted)
    select
        row_number,
        case
            when list_unique(json_keys(compact)) = len(pairs) then '{{' || array_to_string(pairs, ',') || '}}'
        end as dims
    from paired"""

_LONGEST_PLAIN_NUMBER = 100


def canonical(engine: duckdb.DuckDBPyConnection, chunk: pa.Table) -> pa.Table:
    """The chunk with `dims` as compact JSON object with sorted keys, and quantities and rates without exponents.

    Dims that are no object make the record misshapen. An empty object, or an empty text, is an absent one.
    """
    for name in fields.EXACT_NUMBERS:
        chunk = _replace(chunk, name, _without_exponents(chunk[name]))
    if chunk["dims"].null_count == chunk.num_rows:
        return chunk
    dims = run(engine, _SORT_KEYS, "chunk", chunk.select(["row_number", "dims"]))["dims"].combine_chunks()
    given = chunk["dims"].combine_chunks()
    odd = pc.and_(dims.is_null(), given.is_valid())
    if pc.any(odd).as_py():
        exact = [_object(text) for text in given.filter(odd).to_pylist()]
        dims = pc.replace_with_mask(dims, odd, pa.array([text for text, _ in exact], pa.string()))
        wrong = pc.replace_with_mask(
            chunk["misshapen"].combine_chunks(), odd, pa.array([w for _, w in exact], pa.string())
        )
        chunk = _replace(chunk, "misshapen", pc.coalesce(chunk["misshapen"], wrong))
    empty = pc.equal(dims, "{}")
    return _replace(chunk, "dims", pc.if_else(empty, pa.scalar(None, pa.string()), dims))


def _replace(chunk: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    return chunk.set_column(chunk.schema.get_field_index(name), name, column)


def _object(text: str) -> tuple[str | None, str | None]:
    """The canonical text, and `dims` when it is no object."""
    if text == "":
        return None, None
    try:
        value = exact_json.parse(text)
    except exact_json.NotExact:
        return None, "dims"
    if not isinstance(value, dict) or exact_json.holds_no_number(value):
        return None, "dims"
    return exact_json.dump(value), None


def _without_exponents(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.match_substring(column, "e", ignore_case=True)).as_py():
        return column
    column = column.combine_chunks()
    suspects = pc.fill_null(pc.match_substring_regex(column, "^[-+]?[0-9.]+[eE][-+]?[0-9]+$"), False)
    plain = [plain_number(text) for text in column.filter(suspects).to_pylist()]
    return pc.replace_with_mask(column, suspects, pa.array(plain, pa.string()))


def plain_number(text: str) -> str:
    """A number with its exponent written out, or the text as it was when it is none or far too long."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if number == 0:
        return "0"
    if not -_LONGEST_PLAIN_NUMBER < number.adjusted() < _LONGEST_PLAIN_NUMBER or len(text) > _LONGEST_PLAIN_NUMBER:
        return text
    return format(number, "f")

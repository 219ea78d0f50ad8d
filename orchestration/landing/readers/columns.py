"""What the CSV and Parquet readers share: columns under the dump's own names become a chunk."""

import duckdb
import pyarrow as pa

from orchestration.landing import fields
from orchestration.landing.engine import run


def to_chunk(
    engine: duckdb.DuckDBPyConnection, bookkeeping: dict[str, pa.Array], columns: dict[str, pa.Array], tokens: set[str]
) -> pa.Table:
    """A chunk of `fields.CHUNK_SCHEMA` from text columns by dump name.

    `bookkeeping` holds row_number and, as far as there is something to say, record, unreadable, misshapen, too_long.
    Columns named in `tokens` hold JSON as it will stand in `extra`; the others hold text that still has to be quoted.
    """
    rows = len(bookkeeping["row_number"])
    unknown = [name for name in columns if name not in fields.FIELDS]
    if _mixes_versions(columns):
        unknown += [name for name in columns if name in fields.VERSIONED]
    own = bookkeeping | {name: columns[name] for name in fields.FIELDS if name in columns}
    arrays = {name: own.get(name) for name in fields.CHUNK_SCHEMA.names if name != "others"}
    table = pa.table({name: pa.nulls(rows, pa.string()) if array is None else array for name, array in arrays.items()})
    for place, name in enumerate(unknown):
        table = table.append_column(f"unknown_{place}", columns[name])
    parameters = {"names": unknown} if unknown else None
    query = _with_others([name in tokens for name in unknown])
    return run(engine, query, "wide", table, parameters).cast(fields.CHUNK_SCHEMA)


def _mixes_versions(columns: dict[str, pa.Array]) -> bool:
    renamed = fields.RENAMED_SINCE_V1
    return any(name in columns for name in renamed) and any(name in columns for name in renamed.values())


def _with_others(are_tokens: list[bool]) -> str:
    """The query over `wide` that gathers the unknown columns of each row, absent values left out.

    What the columns are called is data, so it comes as a parameter.
    """
    members = []
    for place, is_token in enumerate(are_tokens):
        token = f"unknown_{place}" if is_token else f"to_json(unknown_{place})::varchar"
        members.append(f"{{'name': $names[{place + 1}], 'token': {token}}}")
    names = ", ".join(f'"{name}"' for name in fields.CHUNK_SCHEMA.names if name != "others")
    others = (
        f"list_filter([{', '.join(members)}], lambda other: other.token is not null)"
        if members
        else "null::struct(name varchar, token varchar)[]"
    )
    return f"select {names}, {others} as others from wide"

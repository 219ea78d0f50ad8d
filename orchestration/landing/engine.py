"""The in-memory DuckDB that does landing's set work, piece by piece."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any

import duckdb
import pyarrow as pa


@contextmanager
def open_engine(memory_limit: str, spill: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A private connection within so much memory; nothing of it touches the disk unless memory runs out.

    Its queries run in the calling thread alone, which keeps rows in their order: work is shared out by pieces of a
    dump, each worker with a cursor of its own.
    """
    options = {
        "memory_limit": memory_limit,
        "threads": 1,
        "temp_directory": spill,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=options)
    try:
        connection.execute(sql_file("macros.sql"))
        yield connection
    finally:
        connection.close()


def run(
    engine: duckdb.DuckDBPyConnection, sql: str, name: str, table: pa.Table, parameters: dict[str, Any] | None = None
) -> pa.Table:
    """The result of a query over one Arrow table, known to it as `name`: one row per row of the table, in its order."""
    engine.register(name, table)
    try:
        result = engine.execute(sql, parameters).to_arrow_table()
    finally:
        engine.unregister(name)
    if not result["row_number"].equals(table["row_number"]):
        raise RuntimeError(f"the query over {name} lost the order of its rows")
    return result


@cache
def sql_file(name: str) -> str:
    """The text of one of the room's SQL files."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")

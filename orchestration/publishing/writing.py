"""Write one database file from Parquet files: a program of its own, run by building.py in a fresh process.

Why a process: DuckDB 1.5 writes the unused rest of its text segments to disk as it finds it in memory (known upstream,
measured: the bytes differ from run to run), so a file may hold what the process read before. A process that has read
nothing but the audience's own rows has nothing else to leak. With its allocator told to zero memory, and without the
FSST compressions, which sample at random, and bit packing, which writes what happens to stand where a value is null, the
same rows also give the same bytes; long texts may take twice the room.

Standard input brings a line of JSON each: first the file and DuckDB's settings, then relation by relation, as they are ready, with schema, name, columns
(name, type, comment), comment, and rows (a Parquet file: it becomes a table) or query (it becomes a view on tables before it).
"""

import json
import sys
from collections.abc import Iterator

import duckdb

CLEAN_MEMORY = {"DUCKDB_JE_MALLOC_CONF": "zero:true"}
SETTINGS = {
    "threads": 1,
    "TimeZone": "UTC",
    "preserve_insertion_order": True,
    "disabled_compression_methods": "fsst,dict_fsst,bitpacking",
}


def write(lines: Iterator[str]) -> None:
    """Make the file, its relations in the lines' order and their rows in the files' order."""
    place = json.loads(next(lines))
    with duckdb.connect(place["file"], config=place["settings"]) as connection:
        for setting, value in SETTINGS.items():
            connection.execute(f"set {setting} = {literal(value) if isinstance(value, str) else value}")
        for line in lines:
            make(connection, json.loads(line))
        connection.execute("checkpoint")


def make(connection: duckdb.DuckDBPyConnection, relation: dict) -> None:
    """Make one table or view, with its comments."""
    target = f"{name(relation['schema'])}.{name(relation['name'])}"
    kind = "view" if "query" in relation else "table"
    connection.execute(f"create schema if not exists {name(relation['schema'])}")
    connection.execute(f"create {kind} {target} as {relation.get('query') or rows_of(relation)}")
    if relation["comment"]:
        connection.execute(f"comment on {kind} {target} is {literal(relation['comment'])}")
    for column, _, comment in relation["columns"]:
        if comment:
            connection.execute(f"comment on column {target}.{name(column)} is {literal(comment)}")


def rows_of(relation: dict) -> str:
    """The query of a table's rows. Parquet lacks some types: whatever a column was carried as, it gets its own type back."""
    shown = ", ".join(f"{name(column)}::{kind} as {name(column)}" for column, kind, _ in relation["columns"])
    return f"select {shown} from read_parquet({literal(relation['rows'])})"


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def name(identifier: str) -> str:
    """A SQL identifier, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


if __name__ == "__main__":
    write(iter(sys.stdin))

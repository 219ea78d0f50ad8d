"""Write one database file from Parquet files and what is kept from last time: a program of its own, run by building.py in a fresh process.

Why a process: DuckDB 1.5 writes the unused rest of its text segments to disk as it finds it in memory (known upstream,
measured: the bytes differ from run to run), so a file may hold what the process read before. A process that has read
nothing but the audience's own rows has nothing else to leak. With its allocator told to zero memory, and without the
FSST compressions, which sample at random, the same rows also give the same bytes; long texts may take twice the room. Bit
packing writes what happens to stand where a value is null: it is left to columns that have a value in every row.

Standard input brings a line of JSON each: first the file, the kept one and DuckDB's settings, then relation by relation, as they are ready, with
schema, name, columns (name, type, comment, nullable), comment, and rows (a Parquet file: it becomes a table, or `more` rows of one that
is kept) or query (it becomes a view on tables before it). Those that come before a line `null` are tables to keep: the rows replace
those that have one of the values `changed` in the column `by` (null: all). The file may be there already, as a copy of the kept one.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

CLEAN_MEMORY = {"DUCKDB_JE_MALLOC_CONF": "zero:true"}
SETTINGS = {
    "threads": 1,
    "TimeZone": "UTC",
    "preserve_insertion_order": True,
    "disabled_compression_methods": "fsst,dict_fsst",
}


def write(lines: Iterator[str]) -> None:
    """Bring the kept tables up to date, and make of a copy of them the file; relations in the lines' order and their rows in the files' order."""
    place = json.loads(next(lines))
    relations = map(json.loads, lines)
    # once there is one, it is decided whether the kept file can be brought up to date, or has been removed
    kept = [next(relations)]
    copied = Path(place["kept"]).exists() and Path(place["file"]).exists()
    with opened(place["kept"], place["settings"]) as connection:
        bring_up_to_date(connection, kept[0])
        for relation in iter(lambda: next(relations), None):
            bring_up_to_date(connection, relation)
            kept.append(relation)
    if not copied:
        shutil.copyfile(place["kept"], place["file"])
    # nothing is written into this file later: parts of tables that are not full need not be made one
    with opened(place["file"], place["settings"] | {"max_vacuum_tasks": 0}) as connection:
        for relation in kept:
            if copied:
                bring_up_to_date(connection, relation)
            comment(connection, relation)
        for relation in relations:
            make(connection, relation)
            comment(connection, relation)


@contextmanager
def opened(file: str, settings: dict) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database to write to; afterwards all of it is in the file."""
    with duckdb.connect(file, config=settings) as connection:
        for setting, value in SETTINGS.items():
            connection.execute(f"set {setting} = {literal(value) if isinstance(value, str) else value}")
        yield connection
        connection.execute("checkpoint")


def bring_up_to_date(connection: duckdb.DuckDBPyConnection, relation: dict) -> None:
    """Replace what changed in a kept table; nothing is written where there is nothing, so that the file stays as it is."""
    changed = relation["changed"]
    if changed is None:
        make(connection, relation)
    elif changed:
        [kind] = [kind for column, kind, *_ in relation["columns"] if column == relation["by"]]
        gone = f"list_contains({changed}::{kind}[], {name(relation['by'])})"
        connection.execute(f"delete from {target(relation)} where {gone}")
        connection.execute(f"insert into {target(relation)} {rows_of(relation)}")


def make(connection: duckdb.DuckDBPyConnection, relation: dict) -> None:
    """Make one table or view, or add the rest of a table's rows."""
    connection.execute(f"create schema if not exists {name(relation['schema'])}")
    if "query" in relation:
        connection.execute(f"create or replace view {target(relation)} as {relation['query']}")
        return
    if not relation.get("more"):
        columns = ", ".join(definition(column, kind, nullable) for column, kind, _, nullable in relation["columns"])
        connection.execute(f"create or replace table {target(relation)} ({columns})")
    connection.execute(f"insert into {target(relation)} {rows_of(relation)}")


def definition(column: str, kind: str, nullable: bool) -> str:
    """A column of a table. Texts are never packed as bits."""
    packed = " not null" if not nullable else " using compression rle" if kind != "VARCHAR" else ""
    return f"{name(column)} {kind}{packed}"


def comment(connection: duckdb.DuckDBPyConnection, relation: dict) -> None:
    """Say of a table or view, and of its columns, what they are: in one transaction, each of which waits for the disk."""
    told = {f"{kind(relation)} {target(relation)}": relation["comment"]}
    told |= {f"column {target(relation)}.{name(column)}": text for column, _, text, _ in relation["columns"]}
    comments = "".join(f"comment on {what} is {literal(text)}; " for what, text in told.items() if text)
    connection.execute(f"begin; {comments}commit")


def kind(relation: dict) -> str:
    return "view" if "query" in relation else "table"


def target(relation: dict) -> str:
    return f"{name(relation['schema'])}.{name(relation['name'])}"


def rows_of(relation: dict) -> str:
    """The query of a table's rows. Parquet lacks some types: whatever a column was carried as, it gets its own type back."""
    shown = ", ".join(f"{name(column)}::{kind} as {name(column)}" for column, kind, *_ in relation["columns"])
    return f"select {shown} from read_parquet({literal(relation['rows'])})"


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def name(identifier: str) -> str:
    """A SQL identifier, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


if __name__ == "__main__":
    write(iter(sys.stdin))

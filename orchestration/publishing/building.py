"""`publish`: build each audience's database aside, and put it in place of the old one in one step."""

import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

from orchestration.closing import alike, attach_warehouse, scratch_connection
from orchestration.errors import UsageWarehouseError
from orchestration.publishing import writing
from orchestration.publishing.audiences import AUDIENCES, Relation, place
from orchestration.settings import Settings

# 128-bit integers, which Parquet would turn into floating point
WIDE_INTEGERS = ("HUGEINT", "UHUGEINT")

COLUMNS = """
    select schema_name, table_name, column_name, data_type, comment
    from duckdb_columns() where database_name = $1 and not internal order by schema_name, table_name, column_index
"""
TABLES = """
    select schema_name, table_name, comment from duckdb_tables() where database_name = $1 and not internal
    union all
    select schema_name, view_name, comment from duckdb_views() where database_name = $1 and not internal
    order by all
"""


def publish(settings: Settings) -> list[Path]:
    """Bring the published files up to date with warehouse.duckdb and return them, one per audience.

    A file whose content is in place already is left as it is. Readers of an old file keep it until they open it anew.
    Raises UsageWarehouseError, naming it, when a relation that an audience sees is missing from the warehouse.
    """
    settings.published.mkdir(parents=True, exist_ok=True)
    return [_publish(settings, audience, relations) for audience, relations in AUDIENCES.items()]


def _publish(settings: Settings, audience: str, relations: tuple[Relation, ...]) -> Path:
    # a name of its own: the writer of a killed run may still be at work in the folder that it was given
    work = Path(tempfile.mkdtemp(prefix=f"{audience}-", dir=_empty(settings.scratch / "publish")))
    # the base name is DuckDB's name of the catalog: it must not change when the file is put in place
    fresh = work / f"{audience}.duckdb"
    target = settings.published / fresh.name
    _write(settings, fresh, _extract(settings, audience, relations, work))
    if not (target.is_file() and _same_content(settings, fresh, target)):
        fresh.chmod(0o640)
        put_in_place(fresh, target)
    shutil.rmtree(work)
    return target


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _extract(settings: Settings, audience: str, relations: tuple[Relation, ...], folder: Path) -> list[dict]:
    """Copy the audience's rows to Parquet files, ordered and in one snapshot, and describe the tables to be made."""
    with scratch_connection(settings) as connection:
        attach_warehouse(connection, settings)
        connection.execute("begin transaction")
        known = {row[:2]: row[2] for row in connection.execute(TABLES, ["warehouse"]).fetchall()}
        comments = {row[:3]: row[4] for row in connection.execute(COLUMNS, ["warehouse"]).fetchall()}
        tables = []
        for relation in sorted(relations, key=lambda relation: relation.name):
            source = tuple(relation.source.split("."))
            if source not in known:
                raise UsageWarehouseError(f"{relation.source} is missing from the warehouse: run `usage build`")
            schema, table = place(audience, relation)
            rows = folder / f"{schema}.{table}.parquet"
            columns = _copy_rows(connection, relation, rows)
            described = [(column, kind, comments.get((*source, column))) for column, kind in columns]
            tables.append(
                {"schema": schema, "name": table, "rows": str(rows), "columns": described, "comment": known[source]}
            )
    return tables


def _copy_rows(connection: duckdb.DuckDBPyConnection, relation: Relation, target: Path) -> list[tuple[str, str]]:
    """Write a relation's rows as the audience may see them, and return (name, type) of its columns."""
    shown = ", ".join(relation.columns) or "*"
    replaced = ", ".join(f"{expression} as {column}" for column, expression in relation.shown_as.items())
    query = f"select {shown}{f' replace ({replaced})' if replaced else ''} from warehouse.{relation.source}"
    columns = [row[:2] for row in connection.execute(f"describe {query}").fetchall()]
    carried = ", ".join(
        f'"{column}"::varchar as "{column}"' if kind in WIDE_INTEGERS else f'"{column}"' for column, kind in columns
    )
    connection.execute(
        f"copy (select {carried} from ({query}) order by all) to {_literal(str(target))} (format parquet)"
    )
    return columns


def _write(settings: Settings, fresh: Path, tables: list[dict]) -> None:
    """Let a fresh process, which knows nothing but these tables, write the file (why: see writing.py)."""
    plan = {"file": str(fresh), "settings": {"memory_limit": settings.memory_limit}, "tables": tables}
    program = [sys.executable, str(Path(writing.__file__))]
    done = subprocess.run(
        program, input=json.dumps(plan), text=True, capture_output=True, env={**os.environ, **writing.CLEAN_MEMORY}
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["killed"])[-1]
        raise UsageWarehouseError(f"cannot write {fresh.name}: {reason}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _same_content(settings: Settings, fresh: Path, published: Path) -> bool:
    """Whether two published files hold the same tables, columns, comments and rows; their bytes may still differ.

    Equal bytes are the usual case and cost a read.
    """
    if filecmp.cmp(fresh, published, shallow=False):
        return True
    with scratch_connection(settings) as connection:
        try:
            connection.execute(f"attach {_literal(str(published))} as published (read_only)")
        except duckdb.Error:
            return False  # not a database, or held by a writer: replaced rather than trusted
        connection.execute(f"attach {_literal(str(fresh))} as fresh (read_only)")
        for catalog_query in (TABLES, COLUMNS):
            rows = [connection.execute(catalog_query, [catalog]).fetchall() for catalog in ("fresh", "published")]
            if rows[0] != rows[1]:
                return False
        tables = [row[:2] for row in connection.execute(TABLES, ["fresh"]).fetchall()]
        try:
            return all(
                alike(connection, *(f'select * from {file}."{schema}"."{table}"' for file in ("fresh", "published")))
                for schema, table in tables
            )
        except duckdb.Error:
            return False


def put_in_place(fresh: Path, target: Path) -> None:
    """Make a finished file durable and let it appear under its name in one step."""
    _sync(fresh)
    fresh.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

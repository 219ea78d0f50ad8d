"""Opening DuckDB for this room: a connection with the home's limits, and warehouse.duckdb beside it, never written."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings

PERIOD = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def text(value: str | Path) -> str:
    """A SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def name(identifier: str) -> str:
    """A SQL identifier, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


def check_period(billing_period: str) -> str:
    """The period itself when it reads `YYYY-MM`; raises UsageWarehouseError otherwise."""
    if not PERIOD.fullmatch(billing_period):
        raise UsageWarehouseError(f"not a billing period (YYYY-MM): {billing_period!r}")
    return billing_period


def period_bounds(billing_period: str) -> tuple[date, date]:
    """First day of the period and first day after it (half-open)."""
    year, month = (int(part) for part in check_period(billing_period).split("-"))
    return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)


@contextmanager
def scratch_connection(settings: Settings, path: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection (in memory, or on the new file `path`) with the home's limits, in UTC."""
    connection = duckdb.connect(str(path) if path else ":memory:")
    try:
        connection.execute(
            f"set memory_limit = {text(settings.memory_limit)}; set threads = {int(settings.threads)};"
            f"set temp_directory = {text(_spill(settings))}; set TimeZone = 'UTC';"
            "set python_enable_replacements = false; set preserve_insertion_order = true"
        )
        yield connection
    finally:
        connection.close()


def _spill(settings: Settings) -> str:
    """Where the connection may spill: nowhere for a reader that may not write to the home, who works in memory alone."""
    try:
        settings.scratch.mkdir(parents=True, exist_ok=True)
    except OSError:
        return ""
    return str(settings.spill)


def attach_warehouse(
    connection: duckdb.DuckDBPyConnection, settings: Settings, file: Path | None = None, catalog: str = "warehouse"
) -> None:
    """Attach warehouse.duckdb (or another database of the same models) read-only, as the catalog `warehouse`.

    Under another name only tables can be read: views keep the catalog name that they were created with.
    """
    file = file or settings.warehouse
    if not file.exists():
        raise UsageWarehouseError(f"{file} is missing: run `usage build` first")
    try:
        connection.execute(f"attach {text(file)} as {name(catalog)} (read_only)")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise UsageWarehouseError(f"cannot read {file}: {reason}") from error


def relations(connection: duckdb.DuckDBPyConnection, catalog: str) -> set[tuple[str, str]]:
    """(schema, name) of every table and view of an attached database."""
    return set(
        connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = $1 and not internal union all "
            "select schema_name, view_name from duckdb_views() where database_name = $1 and not internal",
            [catalog],
        ).fetchall()
    )


def columns(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[str, str]]:
    """(name, type) of each column of a query, in order."""
    return [row[:2] for row in connection.execute(f"describe {query}").fetchall()]

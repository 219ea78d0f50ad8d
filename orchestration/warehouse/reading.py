"""Opens the warehouse's database for reading, for the rooms that come after dbt."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from orchestration.errors import UsageWarehouseError
from orchestration.locking import holder
from orchestration.settings import Settings


@contextmanager
def read(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection on warehouse.duckdb, in UTC, closed on exit.

    Raises UsageWarehouseError where there is no warehouse yet, and, naming the holder, while a run writes to it.
    """
    if not settings.warehouse.exists():
        raise UsageWarehouseError(f"there is no warehouse in {settings.home} yet: run `usage build` first")
    try:
        connection = duckdb.connect(
            str(settings.warehouse),
            read_only=True,
            config={"memory_limit": settings.memory_limit, "threads": settings.threads},
        )
    except duckdb.IOException as error:
        if "Conflicting lock" not in str(error):
            raise
        raise UsageWarehouseError(
            f"a run is writing to {settings.warehouse}: {holder(settings.home)}; what is published can be read meanwhile"
        ) from error
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: list[Any] | dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The rows of a query as dictionaries, column name → value."""
    cursor = connection.execute(query, parameters or [])
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

"""Which tables a close freezes, which of their rows belong to a period, and how they become Parquet files."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.closing.canonical import alike, content_sha256
from orchestration.closing.database import columns, name, period_bounds, relations, text
from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings

BY_PERIOD = "billing_period = {period}"
BY_DATE = "billing_date >= {first_day} and billing_date < {day_after}"
BY_LINE = "line_id in (select line_id from warehouse.billing.invoice_lines where billing_period = {period})"


@dataclass(frozen=True)
class FrozenTable:
    """A mart that a receipt keeps. `rows` selects a period's rows; `unfinal` are the states that turn to final."""

    schema: str
    table: str
    rows: str
    unfinal: tuple[str, ...] = ("open", "provisional")

    @property
    def file(self) -> str:
        return f"{self.table}.parquet"


FROZEN_TABLES = (
    FrozenTable("usage", "usage_daily", BY_DATE),
    FrozenTable("usage", "usage_monthly", BY_PERIOD),
    FrozenTable("billing", "invoice_lines", BY_PERIOD),
    FrozenTable("billing", "invoice_line_tiers", BY_LINE),
    FrozenTable("billing", "invoices", BY_PERIOD),
    FrozenTable("billing", "line_allocations", BY_PERIOD),
    FrozenTable("billing", "credit_balances", BY_PERIOD),
    # its status may also be that of a break, in which `open` would mean something else
    FrozenTable("finance", "ledger_reconciliation", BY_PERIOD, unfinal=("provisional",)),
)
STATUS_COLUMNS = ("status", "period_status")
# Parquet has no 128-bit integer: DuckDB would write these as floating point
WIDE_INTEGERS = ("HUGEINT", "UHUGEINT")


def frozen_query(connection: duckdb.DuckDBPyConnection, table: FrozenTable, billing_period: str) -> str:
    """The SQL of a table's rows as the receipt keeps them. Raises UsageWarehouseError if the mart is missing."""
    if (table.schema, table.table) not in relations(connection, "warehouse"):
        raise UsageWarehouseError(f"{table.schema}.{table.table} is missing from the warehouse: run `usage build`")
    source = f"warehouse.{table.schema}.{table.table}"
    selected = ", ".join(_column(table, *column) for column in columns(connection, f"select * from {source}"))
    first_day, day_after = period_bounds(billing_period)
    where = table.rows.format(
        period=text(billing_period), first_day=f"date '{first_day}'", day_after=f"date '{day_after}'"
    )
    return f"select {selected} from {source} where {where}"


def _column(table: FrozenTable, column: str, kind: str) -> str:
    quoted = name(column)
    if column in STATUS_COLUMNS:
        states = ", ".join(text(state) for state in table.unfinal)
        return f"case when {quoted} in ({states}) then 'final' else {quoted} end as {quoted}"
    return f"{quoted}::decimal(38, 0) as {quoted}" if kind in WIDE_INTEGERS else quoted


def parquet_rows(file: Path) -> str:
    """The SQL of a frozen file's rows. Its folder is named `period=…`, which must not become a column."""
    return f"select * from read_parquet({text(file)}, hive_partitioning = false)"


def freeze(
    connection: duckdb.DuckDBPyConnection, settings: Settings, table: FrozenTable, billing_period: str, folder: Path
) -> dict:
    """Write one table's rows of the period to `folder` and return its entry of the receipt, without the file's hash.

    The bytes depend only on the rows: ordered by all columns, written by one thread.
    """
    query = frozen_query(connection, table, billing_period)
    file = folder / table.file
    connection.execute("set threads = 1")
    connection.execute(f"copy ({query} order by all) to {text(file)} (format parquet, compression zstd)")
    connection.execute(f"set threads = {int(settings.threads)}")
    rows, content = content_sha256(connection, parquet_rows(file))
    if not alike(connection, parquet_rows(file), query):
        raise UsageWarehouseError(f"{table.schema}.{table.table} reads back from {file.name} other than it was written")
    return {"table": table.table, "file": table.file, "rows": rows, "content_sha256": content}

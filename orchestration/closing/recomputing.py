"""Recomputation: the period rebuilt from the lake as of its cutoff, in a home of its own, against what the receipt froze."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb

from orchestration import warehouse
from orchestration.closing.database import attach_warehouse, columns, name, scratch_connection, text
from orchestration.closing.receipts import Receipt, closed_periods, read_receipt
from orchestration.closing.tables import FROZEN_TABLES, FrozenTable, frozen_query, parquet_rows
from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings

EXAMPLES = 3

# A home in which a receipt's period can be rebuilt: what it gives is that home's warehouse.
Rebuild = Callable[[Settings, Receipt], AbstractContextManager[Path]]


@contextmanager
def rebuilt_from_lake(settings: Settings, receipt: Receipt) -> Iterator[Path]:
    """The warehouse as it stood before the period's close: the same lake, batches up to the cutoff, periods closed before it.

    Everything of it is built anew below the home's scratch folder and removed afterwards.
    """
    home = settings.scratch / f"recompute-{receipt.period}.{os.getpid()}"  # verify holds no lock: several may run
    shutil.rmtree(home, ignore_errors=True)
    (home / "finalized").mkdir(parents=True)
    try:
        (home / "lake").symlink_to(settings.lake)
        for period in _closed_before(settings, receipt):
            (home / "finalized" / f"period={period}").symlink_to(settings.finalized / f"period={period}")
        recomputed = replace(settings, home=home)
        warehouse.take_over_parse(settings, recomputed)
        warehouse.build(
            recomputed,
            as_of=datetime.fromisoformat(receipt.body["finalized_at"].replace("Z", "+00:00")),
            full_refresh=True,
            select=[f"+{table.table}" for table in FROZEN_TABLES],
            as_of_batch=receipt.cutoff,
            test=False,
        )
        yield home / "warehouse.duckdb"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _closed_before(settings: Settings, receipt: Receipt) -> list[str]:
    """The periods that were final when this one closed: back along the chain of receipts."""
    found, link = [], receipt.body["previous_receipt"]
    periods = set(closed_periods(settings))
    while link and link["billing_period"] in periods and link["billing_period"] not in found:
        found.append(link["billing_period"])
        link = read_receipt(settings, link["billing_period"]).body["previous_receipt"]
    return found


def recompute(settings: Settings, receipt: Receipt, rebuild: Rebuild | None = None) -> list[str]:
    """Problems found when the receipt's period is rebuilt from the lake; none = every frozen table has the same content.

    Frozen files must have passed their hashes before: the recomputation is compared with what the receipt says of them.
    """
    try:
        with (rebuild or rebuilt_from_lake)(settings, receipt) as database, scratch_connection(settings) as connection:
            attach_warehouse(connection, settings, database)
            return [
                f"{receipt.period}: {problem}"
                for table in FROZEN_TABLES
                for problem in _differences(connection, receipt, table)
            ]
    except (UsageWarehouseError, ValueError, duckdb.Error) as error:
        return [f"{receipt.period}: cannot be recomputed: {str(error).splitlines()[0]}"]


def _differences(connection: duckdb.DuckDBPyConnection, receipt: Receipt, table: FrozenTable) -> list[str]:
    # the frozen file's hashes have passed: its rows are those of the receipt, and can be compared as they are
    frozen, recomputed = parquet_rows(receipt.table_file(table.table)), frozen_query(connection, table, receipt.period)
    fields, others = (sorted(columns(connection, query)) for query in (frozen, recomputed))
    if fields != others:
        return [f"{table.table}: the recomputation has other columns or types than the receipt"]
    row = ", ".join(name(column) for column, _ in fields)
    frozen, recomputed = (f"select {row} from ({query})" for query in (frozen, recomputed))
    if _same_rows(connection, row, frozen, recomputed):
        return []
    sides = {
        "the receipt holds, and the recomputation does not": f"({frozen}) except all ({recomputed})",
        "the recomputation holds, and the receipt does not": f"({recomputed}) except all ({frozen})",
    }
    return [
        f"{table.table}: {found} row(s) that {side}, such as {examples}"
        for side, query in sides.items()
        for found, examples in [_some(connection, query)]
        if found
    ]


def _same_rows(connection: duckdb.DuckDBPyConnection, row: str, frozen: str, recomputed: str) -> bool:
    """Whether both queries have each row equally often: one pass, where two differences would take two."""
    surplus = f"""
        select 1
        from (select {row}, 1 as side from ({frozen}) union all select {row}, -1 from ({recomputed}))
        group by {row}
        having sum(side) <> 0
        limit 1
    """
    return connection.execute(surplus).fetchone() is None


def _some(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, str]:
    """How many rows a query has, and the first few of them as text."""
    rows = connection.execute(f"select *, count(*) over () from ({query}) order by all limit {EXAMPLES}").fetchall()
    shown = "; ".join(" ".join(text(str(value)) if value is None else str(value) for value in row[:-1]) for row in rows)
    return (rows[0][-1] if rows else 0), shown

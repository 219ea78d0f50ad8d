"""Recomputation: a period's usage, summed again from the postings, against what the receipt froze."""

from pathlib import Path

import duckdb

from orchestration.closing.database import attach_warehouse, period_bounds, relations, scratch_connection, text
from orchestration.closing.receipts import Receipt
from orchestration.closing.tables import parquet_rows
from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings

POSTINGS = ("intermediate", "int_usage_postings")
METRICS = ("staging", "stg_reference__metrics")
EXAMPLES = 3

# frozen table → its key as an expression over the postings, and as it is named in the table
GRAINS = {
    "usage_daily": ("billing_date", "billing_date"),
    "usage_monthly": ("strftime(billing_date, '%Y-%m')", "billing_period"),
}

POSTED = """
    select
        {key} as {key_name}, account_id, metric, sku, region, unit,
        sum(quantity)::decimal(38, 9) as quantity, sum(event_count)::bigint as event_count
    from warehouse.intermediate.int_usage_postings
    where batch_id <= {cutoff} and billing_date >= date '{first_day}' and billing_date < date '{day_after}'
    group by all
"""
FROZEN = """
    select
        {key_name}, account_id, metric, sku, region, unit,
        quantity::decimal(38, 9) as quantity, event_count::bigint as event_count
    from ({frozen})
"""
# usage that was reversed to nothing may stand as a zero or not at all; other aggregations do not add up from postings
COMPARED = "select * from ({rows}) where (quantity <> 0 or event_count <> 0) and {additive}"


def recompute(settings: Settings, receipt: Receipt, warehouse: Path | None = None) -> list[str]:
    """Problems found when the receipt's usage is summed again from the postings up to its cutoff; none = equal.

    `warehouse` is the database whose postings are taken: the home's by default, or one rebuilt from the lake elsewhere.
    Frozen files must have passed their hash before: a corrupt Parquet file can crash the reading process.
    """
    try:
        with scratch_connection(settings) as connection:
            attach_warehouse(connection, settings, warehouse)
            if POSTINGS not in relations(connection, "warehouse"):
                raise UsageWarehouseError(f"{'.'.join(POSTINGS)} is missing from the warehouse")
            return [
                f"{receipt.period}: {problem}"
                for table in GRAINS
                for problem in _differences(connection, receipt, table)
            ]
    except (UsageWarehouseError, duckdb.Error) as error:
        return [f"{receipt.period}: cannot be recomputed: {str(error).splitlines()[0]}"]


def _differences(connection: duckdb.DuckDBPyConnection, receipt: Receipt, table: str) -> list[str]:
    key, key_name = GRAINS[table]
    first_day, day_after = period_bounds(receipt.period)
    posted = POSTED.format(key=key, key_name=key_name, cutoff=receipt.cutoff, first_day=first_day, day_after=day_after)
    frozen = FROZEN.format(key_name=key_name, frozen=parquet_rows(receipt.table_file(table)))
    additive = _additive(connection)
    posted, frozen = (COMPARED.format(rows=rows, additive=additive) for rows in (posted, frozen))
    sides = {
        "the receipt holds, and the recomputation does not": f"{frozen} except all {posted}",
        "the recomputation holds, and the receipt does not": f"{posted} except all {frozen}",
    }
    return [
        f"{table}: {found} row(s) that {side}, such as {examples}"
        for side, query in sides.items()
        for found, examples in [_some(connection, query)]
        if found
    ]


def _additive(connection: duckdb.DuckDBPyConnection) -> str:
    """The condition that keeps metrics whose figures are sums of postings, as the registry says."""
    if METRICS not in relations(connection, "warehouse"):
        return "true"
    return f"metric not in (select metric from warehouse.{'.'.join(METRICS)} where aggregation not in ('sum', 'count'))"


def _some(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, str]:
    """How many rows a query has, and the first few of them as text."""
    rows = connection.execute(f"select *, count(*) over () from ({query}) order by all limit {EXAMPLES}").fetchall()
    shown = "; ".join(" ".join(text(str(value)) if value is None else str(value) for value in row[:-1]) for row in rows)
    return (rows[0][-1] if rows else 0), shown

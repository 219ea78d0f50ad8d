"""Do two contenders have the same figures? Row by row and both ways, on exact decimals; the first differing rows are what a failure shows.

`python -m tests.benchmarks.comparing A B`: each a home, the output of the reference, or the output of a peer. Exit code 1 where they differ.
"""

import sys
import tempfile
from pathlib import Path

import duckdb

from tests.benchmarks.reference_job import DATABASE

SERIES = "account_id, metric, sku, region, unit"
PEAKS = "peak_per_minute, p50_per_minute, p95_per_minute, p99_per_minute"
# table → (schema of the mart in a home, columns that must be the same)
FIGURES = {
    "usage_hourly": ("usage", f"usage_hour, billing_date, {SERIES}, quantity, event_count"),
    "usage_daily": ("usage", f"billing_date, {SERIES}, quantity, event_count, peak_per_minute"),
    "usage_monthly": ("usage", f"billing_period, {SERIES}, quantity, event_count, {PEAKS}"),
    "unattributed_usage": (
        "usage",
        "first_seen_date, key_type, key_value, metric, sku, region, unit, quantity, event_count",
    ),
    "invoice_lines": (
        "billing",
        "billing_period, account_id, sku, region, unit, price_id, currency_code, quantity, amount",
    ),
}
SHOWN = 5


def attach(connection: duckdb.DuckDBPyConnection, place: Path, name: str) -> dict[str, str]:
    """Make a contender's tables readable: table → what to select from. A peer may have left some of them out."""
    home, reference = place / "warehouse.duckdb", place / DATABASE
    for database in (home, reference):
        if database.exists():
            connection.execute(f"attach '{database}' as {name} (read_only)")
            schemas = {table: schema if database == home else "main" for table, (schema, _) in FIGURES.items()}
            return {table: f'{name}."{schema}".{table}' for table, schema in schemas.items()}
    found = [table for table in FIGURES if (place / f"{table}.parquet").exists()]
    if not found:
        raise FileNotFoundError(f"{place} holds no figures")
    return {table: f"read_parquet('{place / table}.parquet')" for table in found}


def as_decimals(connection: duckdb.DuckDBPyConnection, relation: str, columns: str) -> str:
    """The columns, each in the one type in which they are compared: a peer may write a date as a timestamp, a text as bytes."""
    casts = {"DECIMAL": "decimal(38, 9)", "TIMESTAMP": "timestamp", "DATE": "date", "BLOB": "varchar"}
    types = dict(row[:2] for row in connection.execute(f"describe select {columns} from {relation}").fetchall())
    shown = [
        f"{column}::{next((cast for kind, cast in casts.items() if types[column].startswith(kind)), 'varchar')} as {column}"
        if "INT" not in types[column]
        else f"{column}::bigint as {column}"
        for column in columns.split(", ")
    ]
    return f"select {', '.join(shown)} from {relation}"


def differences(mine: Path, theirs: Path) -> list[str]:
    """What differs, a line each: how many rows of a table only one of the two has, and the first of them. Empty if all agree."""
    found = []
    with tempfile.TemporaryDirectory() as spill, duckdb.connect(config={"temp_directory": spill}) as connection:
        connection.execute("set timezone = 'UTC'")
        here, there = attach(connection, mine, "mine"), attach(connection, theirs, "theirs")
        for table in sorted(here.keys() & there.keys()):
            columns = FIGURES[table][1]
            a, b = (as_decimals(connection, side[table], columns) for side in (here, there))
            # each row counts for one side and against the other: what is left over stands on one side only
            connection.execute(
                f"create or replace temp table extra as select {columns}, sum(side) as side "
                f"from (select *, 1 as side from ({a}) union all select *, -1 from ({b})) group by {columns} having sum(side) <> 0"
            )
            for place, sign in ((mine, 1), (theirs, -1)):
                left = f"from extra where sign(side) = {sign}"
                ((count,),) = connection.execute(f"select coalesce(abs(sum(side)), 0)::bigint {left}").fetchall()
                rows = connection.execute(f"select {columns} {left} order by all limit {SHOWN}").fetchall()
                if count:
                    found.append(f"{table}: {count} rows only in {place}, such as")
                    found += [f"  {', '.join(map(str, row))}" for row in rows]
            ((count,),) = connection.execute(f"select count(*) from {here[table]}").fetchall()
            if not count:
                found.append(f"{table}: {mine} has no rows at all")
    return found


if __name__ == "__main__":
    lines = differences(*map(Path, sys.argv[1:3]))
    print("\n".join(lines))
    sys.exit(1 if lines else 0)

"""The price tables of a shadow rating: the ones in force, with the rows of a folder's files in their place where they say the same thing.

The merged tables are files to be landed, so what refuses a reference file refuses them, too.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration import closing, landing
from orchestration.errors import UsageWarehouseError
from orchestration.landing.batches import landed_references
from orchestration.landing.find import Dump, find
from orchestration.landing.reference_tables import TABLES
from orchestration.landing.references import read_reference
from orchestration.settings import Settings

# What each table becomes: the folder's rows (`given`), and of those in force what they do not replace.
MERGES = {
    "prices": """
        select * exclude (batch_id) from given
        union all by name
        select in_force.* exclude (batch_id) from in_force
        where not exists (
            select 1 from given
            where given.price_id = in_force.price_id or (
                given.plan_id = in_force.plan_id and given.sku = in_force.sku and given.region = in_force.region
                and given.currency_code = in_force.currency_code
                and coalesce(given.valid_from, '-infinity'::date) < coalesce(in_force.valid_to, 'infinity'::date)
                and coalesce(in_force.valid_from, '-infinity'::date) < coalesce(given.valid_to, 'infinity'::date)
            )
        )
        order by price_id
    """,
    "price_tiers": """
        select * exclude (batch_id) from given
        union all by name
        select in_force.* exclude (batch_id) from in_force anti join given using (price_id)
        order by price_id, tier_number
    """,
}

# What a landing would take, and a person should hear of: (question on the merged tables and the given rows, what it says of each price_id).
DOUBTS = (
    (
        "select distinct price_id from given_prices anti join merged_price_tiers using (price_id) order by 1",
        "price {} has no tiers: nothing is rated by it",
    ),
    (
        "select distinct price_id from given_price_tiers anti join merged_prices using (price_id) order by 1",
        "the tiers of {} belong to no price",
    ),
)

# Lets no merged file have the bytes of one that landed before, which a landing would take for known.
MADE_BY = {"made_by": "usage shadow-rate"}


@dataclass(frozen=True)
class MergedPrices:
    """The merged files, ready to be landed from `folder`, and what is odd about the rows that were given."""

    folder: Path
    warnings: tuple[str, ...]


def merge_prices(settings: Settings, given: Path, folder: Path) -> MergedPrices:
    """Write the merged tables of the files in the folder `given` into `folder`.

    Raises UsageWarehouseError where it holds neither prices nor price_tiers, or anything else, or a file with faults (all are named).
    """
    rows = _given_rows(settings, given)
    in_force = {table: _in_force(settings, table) for table in MERGES}
    folder.mkdir(parents=True)
    with closing.scratch_connection(settings) as connection:
        merged = {table: _merged(connection, table, rows.get(table), in_force[table]) for table in MERGES}
        for table in rows:
            pq.write_table(merged[table].replace_schema_metadata(MADE_BY), folder / f"{table}.parquet")
        return MergedPrices(folder, tuple(_doubts(connection, rows, merged)))


def _read(settings: Settings, dump: Dump) -> tuple[pa.Table, list[str]]:
    return read_reference(dump.path, dump.format, dump.table, 0, settings.file_limits.expanded_bytes)


def _given_rows(settings: Settings, given: Path) -> dict[str, pa.Table]:
    """The rows of the folder's files by table, in the lake's types."""
    dumps, ignored, unreadable = find(settings, [given])
    strangers = [dump.file_name for dump in dumps if not _is_price_file(dump)]
    strangers += [file.file_name for file in (*ignored, *unreadable)]
    names = "prices and price_tiers, each as .csv or .parquet"
    if strangers:
        raise UsageWarehouseError(
            f"{given} may hold {names}, and nothing else; it holds {', '.join(sorted(strangers))}"
        )
    if not dumps:
        raise UsageWarehouseError(f"{given} holds no price tables: give it {names}, or one of them")
    tables = [dump.table for dump in dumps]
    if doubled := sorted({table for table in tables if tables.count(table) > 1}):
        raise UsageWarehouseError(f"{given} holds {', '.join(doubled)} twice: keep the .csv or the .parquet")
    read = {dump.table: (dump, *_read(settings, dump)) for dump in dumps}
    refuse({dump.file_name: faults for dump, _, faults in read.values()})
    return {table: rows for table, (_, rows, _) in read.items()}


def _is_price_file(dump: Dump) -> bool:
    return dump.table in MERGES and "/" not in dump.file_name


def refuse(faults: dict[str, list[str]]) -> None:
    """Raise UsageWarehouseError with every fault of every file (name → faults); nothing where there are none."""
    refused = [f"{name} refused: {', '.join(found)}" for name, found in sorted(faults.items()) if found]
    if refused:
        raise UsageWarehouseError("; ".join(refused))


def _in_force(settings: Settings, table: str) -> pa.Table:
    """The rows of the table's last landed version; none where it never landed."""
    versions = [row["version"] for row in landed_references(landing.manifests(settings)) if row["table"] == table]
    if not versions:
        return TABLES[table].schema.empty_table()
    path = settings.lake / "reference" / table / f"version={versions[-1]}" / "part-00000.parquet"
    try:
        return pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise UsageWarehouseError(f"the {table} in force cannot be read from {path}: {error}") from error


def _merged(connection: duckdb.DuckDBPyConnection, table: str, given: pa.Table | None, in_force: pa.Table) -> pa.Table:
    connection.register("given", given if given is not None else in_force.schema.empty_table())
    connection.register("in_force", in_force)
    return connection.execute(MERGES[table]).to_arrow_table()


def _doubts(
    connection: duckdb.DuckDBPyConnection, given: dict[str, pa.Table], merged: dict[str, pa.Table]
) -> list[str]:
    for table in MERGES:
        connection.register(f"given_{table}", given.get(table, merged[table].schema.empty_table()))
        connection.register(f"merged_{table}", merged[table])
    return [says.format(price_id) for query, says in DOUBTS for (price_id,) in connection.execute(query).fetchall()]

"""Publishing as assets: one file per audience."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb

from orchestration import publishing
from orchestration.operations import runs
from orchestration.scheduling.close_assets import PERIOD
from orchestration.scheduling.running import POOL, table, writer
from orchestration.settings import load_settings


@dg.multi_asset(
    name="publish",
    specs=[
        dg.AssetSpec(
            ["published", audience],
            deps=[PERIOD, *sorted({dg.AssetKey(relation.source.split(".")) for relation in relations})],
            group_name="published",
            kinds={"duckdb"},
            description=f"What {audience} opens; replaced as a whole, never locked by a run.",
        )
        for audience, relations in publishing.AUDIENCES.items()
    ],
    pool=POOL,
)
def publishing_step(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
    """Put the published files in place. A file whose content has not changed is left as it is."""
    settings = load_settings()
    with writer(context, settings, transient=True):
        paths = runs.publish(settings, None)
        for path in paths:
            yield dg.MaterializeResult(
                asset_key=["published", path.stem],
                metadata={
                    "path": dg.MetadataValue.path(path),
                    "bytes": path.stat().st_size,
                    "tables": table(_tables(path)),
                },
            )


def _tables(path: Path) -> list[dict[str, object]]:
    with duckdb.connect(str(path), read_only=True) as published:
        found = published.execute(
            "select schema_name, table_name, estimated_size from duckdb_tables() order by all"
        ).fetchall()
    return [{"schema": schema, "table": name, "rows": rows} for schema, name, rows in found]

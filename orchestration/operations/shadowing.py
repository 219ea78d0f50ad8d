"""Shadow rating: what a period's usage would come to by other prices. It changes no figure that anybody is billed from.

The usage is rated in a home of its own below scratch: links to the lake's files, with the other prices landed on top; a copy of the
warehouse, so that its postings need not be made anew; and no receipts, so that a closed period, too, is rated on all usage that is known of it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration import closing, landing, warehouse
from orchestration.closing.database import text
from orchestration.errors import UsageWarehouseError
from orchestration.operations.shadow_prices import MergedPrices, merge_prices, refuse
from orchestration.settings import Settings

Progress = Callable[[str, int], None]

# What is built in the scratch home: views that look into that home, and of what leads to the lines all that reads receipts or prices. It is
# built in full, as an incremental model that has taken in a close would keep it. Postings rest on neither, and are kept as they are.
CHANGED = ("stg_finalized__*", "stg_reference__prices", "stg_reference__price_tiers")
WANTED = ("invoice_lines", "unpriced_usage")
SHADOW_BUILD = [
    f"{changed},+{wanted}" for wanted in WANTED for changed in ("usage_warehouse.staging", *(f"{c}+" for c in CHANGED))
]
KEPT_BUILD = ["stg_shadow__ratings+"]

# The lines that a price has rated, whenever they were billed, with their discounts. Subscriptions, minimums and credits are left out.
USAGE_LINES = "charge_type in ('usage', 'discount') and price_id is not null"

COMPARED = f"""
    with billed as (
        select account_id, sku, currency_code, sum(amount)::decimal(38, 6) as amount
        from warehouse.billing.invoice_lines where origin_period = $period and {USAGE_LINES} group by all
    ),

    shadow as (
        select account_id, sku, currency_code, sum(amount)::decimal(38, 6) as amount
        from shadow.billing.invoice_lines where origin_period = $period and {USAGE_LINES} group by all
    )

    select
        $period as billing_period,
        account_id,
        sku,
        currency_code,
        coalesce(billed.amount, 0)::decimal(38, 6) as billed_amount,
        coalesce(shadow.amount, 0)::decimal(38, 6) as shadow_amount,
        (shadow_amount - billed_amount)::decimal(38, 6) as difference_amount
    from billed
    full outer join shadow using (account_id, sku, currency_code)
    order by account_id, sku, currency_code
"""

# Usage that the other prices leave without a price: it would be worth nothing, which is seldom what was meant.
UNPRICED = """
    select distinct account_id, sku from shadow.billing.unpriced_usage where billing_period = $period
    except
    select account_id, sku from warehouse.billing.unpriced_usage where billing_period = $period
    order by all
"""


SUMMED = """
    select
        {key},
        sum(billed_amount)::decimal(38, 6) as billed_amount,
        sum(shadow_amount)::decimal(38, 6) as shadow_amount,
        sum(difference_amount)::decimal(38, 6) as difference_amount
    from compared group by {key} order by {key}
"""


@dataclass(frozen=True)
class ShadowRating:
    """What came out: the rows of billing.shadow_rating for the period, their sums, and what is odd about the prices."""

    billing_period: str
    totals: tuple[dict[str, Any], ...]
    accounts: tuple[dict[str, Any], ...]
    rows: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "billing_period": self.billing_period,
            "accounts_changed": len({row["account_id"] for row in self.rows if row["difference_amount"]}),
            "totals": list(self.totals),
            "accounts": list(self.accounts),
            "warnings": list(self.warnings),
            "rows": list(self.rows),
        }


def shadow_rate(
    settings: Settings,
    prices: Path,
    billing_period: str,
    as_of: datetime | None = None,
    progress: Progress | None = None,
) -> ShadowRating:
    """Rate the period's usage with the price tables in the folder `prices`, and keep the comparison as billing.shadow_rating.

    Rows of the folder go before those in force that they replace. Raises UsageWarehouseError, and changes nothing, where the folder is not
    sound, the period has no usage, or the warehouse is behind the lake.
    """
    _ready(settings, closing.check_period(billing_period))
    place = settings.scratch / f"shadow-{billing_period}"
    shutil.rmtree(place, ignore_errors=True)
    try:
        merged = merge_prices(settings, prices, place / "prices")
        with _rated(settings, place / "home", merged, as_of, progress) as other:
            rating = _compare(settings, other, billing_period, merged, place / "rows.parquet")
        _keep(settings, billing_period, place / "rows.parquet")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    warehouse.build(settings, as_of, select=KEPT_BUILD)
    return rating


def _ready(settings: Settings, billing_period: str) -> None:
    """Is there usage to rate, and are the figures that it is compared with those of the lake as it stands?"""
    with warehouse.read(settings) as connection:
        has_usage = connection.execute(
            "select has_usage from billing.billing_periods where billing_period = ?", [billing_period]
        ).fetchone()
        (built,) = connection.execute("select coalesce(max(batch_id), 0) from operations.batches").fetchone()
    if not has_usage or not has_usage[0]:
        raise UsageWarehouseError(f"{billing_period} has no usage to rate: see billing.billing_periods")
    landed = max((manifest["batch_id"] for manifest in landing.manifests(settings)), default=0)
    if landed > built:
        raise UsageWarehouseError(
            f"batch {landed} has landed since the last build (batch {built}): run `usage build` first"
        )


@contextmanager
def _rated(
    settings: Settings, home: Path, merged: MergedPrices, as_of: datetime | None, progress: Progress | None
) -> Iterator[Settings]:
    """The settings of a home in which everything is rated with the merged prices."""
    other = replace(settings, home=home)
    _link_lake(settings, other)
    landed = landing.land(other, [merged.folder], as_of)
    refuse({entry.file_name: entry.faults for entry in landed.references})
    for file in (settings.warehouse, settings.warehouse.with_name(f"{settings.warehouse.name}.wal")):
        if file.exists():
            shutil.copyfile(file, home / file.name)
    warehouse.build(other, as_of, full_refresh=True, select=SHADOW_BUILD, test=False, on_progress=progress)
    yield other


def _link_lake(settings: Settings, other: Settings) -> None:
    """The lake file by file, as its manifests name it: folders of its own, so that a landing there can neither add to nor remove from the real one."""
    for manifest in landing.manifests(settings):
        paths = [file["path"] for file in manifest["lake_files"]]
        for path in (*paths, f"lake/batches/batch={manifest['batch_id']}.json"):
            link = other.home / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(settings.home / path)


def _compare(
    settings: Settings, other: Settings, billing_period: str, merged: MergedPrices, rows_file: Path
) -> ShadowRating:
    """Read the lines of both homes; the comparison is written to `rows_file`."""
    with closing.scratch_connection(settings) as connection:
        closing.attach_warehouse(connection, settings)
        closing.attach_warehouse(connection, other, catalog="shadow")
        parameters = {"period": billing_period}
        connection.execute(f"create table compared as {COMPARED}", parameters)
        connection.execute(f"copy (from compared order by all) to {text(rows_file)} (format parquet)")
        return ShadowRating(
            billing_period,
            totals=tuple(warehouse.rows(connection, SUMMED.format(key="currency_code"))),
            accounts=tuple(warehouse.rows(connection, SUMMED.format(key="account_id, currency_code"))),
            rows=tuple(warehouse.rows(connection, "from compared order by all")),
            warnings=(*merged.warnings, *_unpriced(connection, parameters)),
        )


def _unpriced(connection: duckdb.DuckDBPyConnection, parameters: dict[str, str]) -> list[str]:
    return [
        f"usage of {account_id} for {sku} has no price by these tables and counts as 0"
        for account_id, sku in connection.execute(UNPRICED, parameters).fetchall()
    ]


def _keep(settings: Settings, billing_period: str, rows_file: Path) -> None:
    """Put the comparison in its place: a reader sees the one of the run before, or this one."""
    settings.shadow.mkdir(parents=True, exist_ok=True)
    with rows_file.open("rb") as handle:
        os.fsync(handle.fileno())
    rows_file.replace(settings.shadow / f"period={billing_period}.parquet")

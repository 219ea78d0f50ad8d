"""Compare two homes mart by mart, row by row, unrounded: what a change of logic does to the figures, before it is let near a close.

The other home is the baseline. Everything is set work in SQL on exact decimals; both databases are opened read-only.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from orchestration import closing, warehouse
from orchestration.closing.database import name
from orchestration.errors import UsageWarehouseError
from orchestration.locking import undisturbed
from orchestration.settings import Settings

HERE, THERE = "warehouse", "baseline"

# Every public mart and its grain. A mart that neither home has is left out; a test holds this list against the dbt project.
USAGE = ("account_id", "metric", "sku", "region")
KEYS: dict[str, tuple[str, ...]] = {
    "usage.usage_hourly": ("usage_hour", "billing_date", *USAGE),
    "usage.usage_daily": ("billing_date", *USAGE),
    "usage.usage_monthly": ("billing_period", *USAGE),
    "usage.unattributed_usage": ("first_seen_date", "key_type", "key_value", "metric", "sku", "region"),
    "usage.held_usage": ("landed_batch_id", "reason", "producer", "metric", "unit"),
    "usage.late_usage": ("billing_period", *USAGE),
    "billing.invoice_lines": ("line_id",),
    "billing.invoice_line_tiers": ("line_id", "tier_number"),
    "billing.invoices": ("billing_period", "account_id", "currency_code"),
    "billing.unpriced_usage": ("billing_period", *USAGE, "plan_id"),
    "billing.billing_periods": ("billing_period",),
    "billing.credit_balances": ("credit_id", "billing_period"),
    "billing.line_allocations": ("line_id", "account_id", "sku"),
    "billing.shadow_rating": ("billing_period", "account_id", "sku", "currency_code"),
    "finance.ledger_reconciliation": ("billing_period", "account_id", "sku", "currency_code"),
    "operations.event_conservation": ("batch_id",),
    "operations.batches": ("batch_id",),
    "operations.gate_results": ("gate", "billing_period", "cutoff_batch_id", "checked_at"),
    "operations.pipeline_slis": ("sli_date", "sli"),
}

# A column of a whole or decimal type measures something, but for these, which name or number something.
NUMERIC = re.compile(r"(?:DECIMAL\(\d+,(?P<scale>\d+)\)|U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?)")
NO_FIGURES = re.compile(r".*_id|version|tier_number|priority")

# More digits than two decimals of 38 have, so that a tolerance is cut only where it is meant to be.
EXACT = Context(prec=80, rounding=ROUND_FLOOR)
MOST = Decimal("9" * 38)


@dataclass(frozen=True)
class Largest:
    """The largest difference between two figures of one mart: in which column, of which row, here − there."""

    column: str
    difference: Decimal
    key: dict[str, Any]


@dataclass(frozen=True)
class MartDifference:
    """How one mart differs. `differing` are rows beyond the tolerance; `vanished` are figures that the other home has and this one lacks."""

    mart: str
    rows_here: int
    rows_there: int
    only_here: int
    only_there: int
    differing: int
    within_tolerance: int
    largest: Largest | None
    columns_only_here: tuple[str, ...]
    columns_only_there: tuple[str, ...]
    columns_of_other_type: tuple[str, ...]
    vanished: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return not (self.only_here or self.only_there or self.differing or self.vanished)

    @property
    def reason(self) -> str:
        """What makes it unequal, in a few words."""
        counts = {
            "only here": self.only_here,
            "only there": self.only_there,
            "differing": self.differing,
        }
        found = [f"{count} {what}" for what, count in counts.items() if count]
        found += [f"no {column} any more" for column in self.vanished]
        return f"{self.mart}: {', '.join(found)}"


@dataclass(frozen=True)
class Comparison:
    """What came out, mart by mart. `marts_only_there` are missing here."""

    against: Path
    tolerance: Decimal
    marts: tuple[MartDifference, ...]
    marts_only_here: tuple[str, ...]
    marts_only_there: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return all(mart.equal for mart in self.marts) and not self.marts_only_there

    @property
    def reason(self) -> str:
        """What makes the homes unequal, in one line."""
        found = [mart.reason for mart in self.marts if not mart.equal]
        found += [f"{mart}: missing here" for mart in self.marts_only_there]
        return f"the figures differ from those of {self.against} by more than {self.tolerance:f}: {'; '.join(found)}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {
            "against": str(self.against),
            "equal": self.equal,
            "marts": [asdict(mart) | {"equal": mart.equal} for mart in self.marts],
        }


def compare(settings: Settings, against: Path, tolerance: Decimal = Decimal(0)) -> Comparison:
    """Compare the marts of this home with those of the home `against` (its folder, or its warehouse.duckdb), both ways.

    Two figures may differ by `tolerance` at most, which is absolute; everything else may not differ. Raises UsageWarehouseError where a home
    has no warehouse, or is being written to.
    """
    other = _warehouse_of(against)
    if not settings.warehouse.exists():
        raise UsageWarehouseError(f"there is no warehouse in {settings.home} yet: run `usage build` first")
    with ExitStack() as stack:
        for home in sorted({settings.home.resolve(), other.resolve().parent}):
            stack.enter_context(undisturbed(home))
        connection = stack.enter_context(closing.scratch_connection(settings))
        closing.attach_warehouse(connection, settings)
        there = HERE if other.samefile(settings.warehouse) else THERE
        if there != HERE:
            closing.attach_warehouse(connection, settings, other, THERE)
        columns = {side: _columns(connection, side) for side in {HERE, there}}
        here_marts, there_marts = columns[HERE], columns[there]
        return Comparison(
            against=against,
            tolerance=tolerance,
            marts=tuple(
                _Mart(connection, mart, there, here_marts[mart], there_marts[mart]).compared(tolerance)
                for mart in KEYS
                if mart in here_marts and mart in there_marts
            ),
            marts_only_here=tuple(mart for mart in KEYS if mart in here_marts and mart not in there_marts),
            marts_only_there=tuple(mart for mart in KEYS if mart in there_marts and mart not in here_marts),
        )


def _warehouse_of(path: Path) -> Path:
    file = path / "warehouse.duckdb" if path.is_dir() else path
    if not file.is_file():
        raise UsageWarehouseError(
            f"there is no warehouse in {path}: name a home that was built, or its warehouse.duckdb"
        )
    return file


def _columns(connection: duckdb.DuckDBPyConnection, catalog: str) -> dict[str, dict[str, str]]:
    """mart → column → type, of the marts that the database has, in their order."""
    found: dict[str, dict[str, str]] = {}
    for mart, column, data_type in connection.execute(
        "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() "
        "where database_name = ? order by 1, column_index",
        [catalog],
    ).fetchall():
        if mart in KEYS:
            found.setdefault(mart, {})[column] = data_type
    return found


def is_figure(column: str, data_type: str) -> bool:
    """Does the column hold a quantity, an amount or a count?"""
    return bool(NUMERIC.fullmatch(data_type)) and not NO_FIGURES.fullmatch(column)


def at_most(tolerance: Decimal, types: tuple[str, str]) -> str:
    """The tolerance as a SQL decimal of the scale at which two columns of these types are subtracted: cut, as no difference lies between."""
    scale = max(int(NUMERIC.fullmatch(data_type)["scale"] or 0) for data_type in types)
    units = min(EXACT.scaleb(min(tolerance, MOST), scale).quantize(Decimal(1), context=EXACT), MOST)
    return f"{EXACT.scaleb(units, -scale):f}::decimal(38, {scale})"


class _Mart:
    """One mart of both homes. Its two tables are joined on the grain; what of a row is not the grain is compared column by column."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        mart: str,
        there: str,
        types_here: dict[str, str],
        types_there: dict[str, str],
    ) -> None:
        self.connection, self.mart, self.there = connection, mart, there
        self.here_types, self.there_types = types_here, types_there
        self.shared = [column for column in types_here if column in types_there]
        self.key = [column for column in KEYS[mart] if column in self.shared]
        rest = [column for column in self.shared if column not in self.key]
        self.figures = [c for c in rest if is_figure(c, types_here[c]) and is_figure(c, types_there[c])]
        self.others = [column for column in rest if column not in self.figures]
        if not self.key:
            raise UsageWarehouseError(f"{mart} has no column of its grain in common: {', '.join(KEYS[mart])}")

    def compared(self, tolerance: Decimal) -> MartDifference:
        """Join, count, and find the largest difference."""
        self.connection.execute(f"create or replace temp table unequal as {self._unequal(tolerance)}")
        only_here, only_there, differing, within = self._row(
            "select count(*) filter (not is_there), count(*) filter (not is_here), "
            "count(*) filter (is_here and is_there and is_beyond), count(*) filter (is_here and is_there and not is_beyond) "
            "from unequal"
        )
        return MartDifference(
            mart=self.mart,
            rows_here=self._row(f"select count(*) from {HERE}.{self.mart}")[0],
            rows_there=self._row(f"select count(*) from {self.there}.{self.mart}")[0],
            only_here=only_here,
            only_there=only_there,
            differing=differing,
            within_tolerance=within,
            largest=self._largest(),
            columns_only_here=tuple(column for column in self.here_types if column not in self.shared),
            columns_only_there=tuple(column for column in self.there_types if column not in self.shared),
            columns_of_other_type=tuple(
                column for column in self.shared if self.here_types[column] != self.there_types[column]
            ),
            vanished=tuple(
                column
                for column, data_type in self.there_types.items()
                if is_figure(column, data_type) and column not in (*self.key, *self.figures)
            ),
        )

    def _unequal(self, tolerance: Decimal) -> str:
        """The rows that are on one side only or not the same on both, each with the differences of its figures."""
        same_key = [f"here.{name(c)} is not distinct from there.{name(c)}" for c in self._join_key()]
        beyond = [f"here.{name(c)} is distinct from there.{name(c)}" for c in self.others]
        beyond += [self._is_beyond(column, tolerance) for column in self.figures]
        same = [f"here.{name(c)} is not distinct from there.{name(c)}" for c in (*self.others, *self.figures)]
        return f"""
            select
                {", ".join(f"coalesce(here.{name(c)}, there.{name(c)}) as {name(c)}" for c in self.key)},
                coalesce(here.is_present, false) as is_here,
                coalesce(there.is_present, false) as is_there,
                {" or ".join(beyond) or "false"} as is_beyond
                {"".join(f", here.{name(c)} - there.{name(c)} as {name('difference of ' + c)}" for c in self.figures)}
            from ({self._side(HERE)}) as here
            full outer join ({self._side(self.there)}) as there on {" and ".join(same_key)}
            where here.is_present is null or there.is_present is null or not ({" and ".join(same) or "true"})
        """

    def _is_beyond(self, column: str, tolerance: Decimal) -> str:
        """A figure beside none differs beyond any tolerance."""
        here, there = f"here.{name(column)}", f"there.{name(column)}"
        limit = at_most(tolerance, (self.here_types[column], self.there_types[column]))
        return f"(({here} is null) <> ({there} is null) or coalesce(abs({here} - {there}) > {limit}, false))"

    def _side(self, catalog: str) -> str:
        """The rows of one side; where a grain is not unique, rows of one key are told apart by their order."""
        numbered = ""
        if self.is_doubled:
            keys = ", ".join(map(name, self.key))
            order = ", ".join(map(name, (*self.others, *self.figures))) or keys
            numbered = f", row_number() over (partition by {keys} order by {order}) as {name('occurrence of key')}"
        return f"select {', '.join(map(name, self.shared))}, true as is_present{numbered} from {catalog}.{self.mart}"

    def _join_key(self) -> list[str]:
        return [*self.key, "occurrence of key"] if self.is_doubled else self.key

    @cached_property
    def is_doubled(self) -> bool:
        """Is the grain not unique on a side? No build of ours leaves that; a home that is under suspicion may hold it."""
        keys = ", ".join(map(name, self.key))
        doubled = "select 1 from {}.{} group by {} having count(*) > 1 limit 1"
        return any(
            self.connection.execute(doubled.format(side, self.mart, keys)).fetchone() for side in (HERE, self.there)
        )

    def _largest(self) -> Largest | None:
        found = [largest for column in self.figures for largest in self._largest_of(column)]
        return max(found, key=lambda largest: largest.difference.copy_abs(), default=None)

    def _largest_of(self, column: str) -> Iterator[Largest]:
        difference = name("difference of " + column)
        keys = ", ".join(map(name, self.key))
        for row in warehouse.rows(
            self.connection,
            f"select {difference} as difference, {keys} from unequal where is_here and is_there and {difference} <> 0 "
            f"order by abs({difference}) desc, {keys} limit 1",
        ):
            yield Largest(column, Decimal(row.pop("difference")), row)

    def _row(self, query: str) -> tuple[Any, ...]:
        return self.connection.execute(query).fetchone()

"""What the gates read from the warehouse without Great Expectations: the cutoff, periods, time zones and waivers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date

import duckdb

from expectations.gate import Scope
from orchestration import warehouse
from orchestration.errors import UsageWarehouseError
from orchestration.gates.waivers import Waiver
from orchestration.settings import Settings


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """warehouse.read, with whatever DuckDB refuses (a lock, a missing mart) told as a UsageWarehouseError."""
    try:
        with warehouse.read(settings) as connection:
            yield connection
    except duckdb.Error as error:
        first_line = str(error).splitlines()[0]
        raise UsageWarehouseError(f"the gates cannot read {settings.warehouse}: {first_line}") from error


def read_current_cutoff(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The greatest batch the warehouse knows; None when nothing has landed."""
    return connection.sql("select max(batch_id) from operations.batches").fetchone()[0]


def read_tested_before(connection: duckdb.DuckDBPyConnection) -> int:
    """The batch up to which data tests had passed before the last build, which tested what came after it; 0: it tested everything."""
    return connection.sql("select earlier_batch_id from intermediate.int_batches_tested").fetchone()[0]


def read_days_touched(
    connection: duckdb.DuckDBPyConnection, scope: Scope, since_batch_id: int
) -> tuple[date, date] | None:
    """The first day of the scope's period that postings of later batches touch, and the one after the last; the first twice where none does.

    None: all of them. A level moves on by itself and carries over days without postings.
    """
    [(levels,)] = connection.sql("select exists (from intermediate.int_level_changes)").fetchall()
    if levels:
        return None
    return connection.execute(
        """
        select coalesce(min(billing_date), $first), coalesce(max(billing_date) + 1, $first)
        from intermediate.int_usage_posted
        where batch_id > $since and billing_date >= $first and billing_date < $next
        """,
        {"first": scope.first_date, "next": scope.next_date, "since": since_batch_id},
    ).fetchone()


def read_periods(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, int | None]]:
    """billing.billing_periods: per period its status and, once final, its cutoff."""
    rows = connection.sql("select billing_period, status, cutoff_batch_id from billing.billing_periods").fetchall()
    return {period: (status, cutoff) for period, status, cutoff in rows}


def read_billed_periods(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The periods in which some account used something or is billed something."""
    rows = connection.sql("""
        select billing_period from usage.usage_monthly where event_count <> 0 or quantity <> 0
        union
        select billing_period from billing.invoice_lines
    """).fetchall()
    return frozenset(period for (period,) in rows)


def read_timezones(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The billing time zones of all accounts; an account without one is billed in UTC."""
    rows = connection.sql("""
        select distinct coalesce(billing_timezone, 'UTC') from staging.stg_reference__accounts
    """).fetchall()
    return frozenset(zone for (zone,) in rows)


def read_waivers(connection: duckdb.DuckDBPyConnection, billing_period: str) -> tuple[Waiver, ...]:
    """All waivers of the period, expired ones too."""
    rows = connection.execute(
        """
        select gate, billing_period, scope, reason, approved_by, expires_at
        from staging.stg_reference__gate_waivers
        where billing_period = ?
        order by all
        """,
        [billing_period],
    ).fetchall()
    return tuple(Waiver(*row[:5], row[5].replace(tzinfo=UTC) if row[5] else None) for row in rows)

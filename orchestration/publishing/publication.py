"""A published file opened for reading, narrowed to one billing period and, where asked for, one account."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.closing import check_period, scratch_connection
from orchestration.errors import UsageWarehouseError
from orchestration.publishing.audiences import AUDIENCES, place
from orchestration.publishing.writing import literal
from orchestration.settings import Settings

# how a spreadsheet takes a cell for a formula, in ASCII and in the full-width forms
FORMULA = "^[=+@\\t\\r\\n＝＋－＠-]"


@dataclass(frozen=True)
class Publication:
    """The audience's tables, by their public names, for `period` and `account` (None = all accounts)."""

    connection: duckdb.DuckDBPyConnection
    audience: str
    period: str
    account: str | None

    def table(self, name: str) -> str:
        """The SQL name of a published table, such as `finance.ledger_reconciliation`."""
        relation = next(relation for relation in AUDIENCES[self.audience] if relation.name == name)
        return ".".join((self.audience, *place(self.audience, relation)))

    def narrowed(self) -> dict[str, str]:
        """Public name → SQL of its rows of the period, for every table that has a billing_period.

        With an account given, tables that know no accounts are left out: nothing in them could be told apart.
        """
        queries = {}
        for relation in AUDIENCES[self.audience]:
            columns = self._columns(relation.name)
            if "billing_period" in columns and (self.account is None or "account_id" in columns):
                # an account sees what it is charged, and what stands on its invoice
                owners = [column for column in ("account_id", "invoice_account_id") if column in columns]
                condition = self.condition(columns=tuple(owners))
                queries[relation.name] = f"select * from {self.table(relation.name)} where {condition}"
        return queries

    def condition(self, alias: str = "", columns: tuple[str, ...] = ("account_id",)) -> str:
        """The SQL condition on a table with billing_period, and with the account in one of these columns."""
        dot = f"{alias}." if alias else ""
        conditions = [f"{dot}billing_period = {literal(self.period)}"]
        if self.account is not None:
            owned = " or ".join(f"{dot}{column} = {literal(self.account)}" for column in columns)
            conditions.append(f"({owned})")
        return " and ".join(conditions)

    def rows(self, query: str) -> list[dict]:
        """A query's rows as objects."""
        found = self.connection.execute(query)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def file_stem(self, subject: str, account: str | None = None) -> str:
        """A file name for a subject: with the period, and with the account when the export is narrowed to one."""
        account = self.account if account is None else account
        return "_".join([subject, self.period] + ([safe_name(account)] if account is not None else []))

    def _columns(self, name: str) -> set[str]:
        try:
            found = self.connection.execute(f"describe {self.table(name)}").fetchall()
        except duckdb.CatalogException:
            return set()  # a file that an earlier version published
        return {row[0] for row in found}


@contextmanager
def opened(settings: Settings, audience: str, period: str, account: str | None) -> Iterator[Publication]:
    """The audience's published file, read-only. Raises UsageWarehouseError on unknown audience, period or account."""
    if audience not in AUDIENCES:
        raise UsageWarehouseError(f"unknown audience {audience!r}: it must be one of {', '.join(AUDIENCES)}")
    check_period(period)
    file = settings.published / f"{audience}.duckdb"
    if not file.is_file():
        raise UsageWarehouseError(f"{file} is missing: nothing has been published yet, run `usage nightly` first")
    with scratch_connection(settings) as connection:
        try:
            connection.execute(f"attach {literal(str(file))} as {audience} (read_only)")
        except duckdb.Error as error:
            raise UsageWarehouseError(f"cannot read {file}: {str(error).splitlines()[0]}") from error
        publication = Publication(connection, audience, period, account)
        _refuse_unknown(publication)
        yield publication


def _refuse_unknown(publication: Publication) -> None:
    periods = [
        row["billing_period"]
        for row in publication.rows(f"from {publication.table('billing.billing_periods')} order by billing_period")
    ]
    if publication.period not in periods:
        known = ", ".join(periods) or "none"
        raise UsageWarehouseError(f"no usage in billing period {publication.period}; published periods: {known}")
    if publication.account is None:
        return
    known_by = (publication.table("billing.accounts"), publication.table("usage.usage_monthly"))
    if not any(
        publication.rows(f"from {table} where account_id = {literal(publication.account)} limit 1")
        for table in known_by
    ):
        raise UsageWarehouseError(f"unknown account {publication.account!r}")


def safe_name(text: str) -> str:
    """A text as part of a file name; what had to be changed is told apart by a few digits of its hash."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".")[:80]
    return safe if safe == text else f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def write_atomically(target: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a file beside the target, then put it in place in one step; a failure leaves nothing behind."""
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        write(aside)
        aside.chmod(0o640)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def write_csv(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> Path:
    """A query's rows as CSV, ordered by all columns; a text that a spreadsheet would run gets a leading '.

    As OWASP has it for CSV injection: every text stands in quotes too, so that no `;` or tab inside it begins a cell
    anew where a spreadsheet separates by these. Numbers stay bare numbers, negative ones included.
    """
    shown, texts = [], []
    for name, kind in (row[:2] for row in connection.execute(f"describe {query}").fetchall()):
        column = f'"{name}"'
        formula = f"regexp_matches({column}, {literal(FORMULA)})"
        defused = f"case when {formula} then '''' || {column} else {column} end as {column}"
        shown.append(defused if kind == "VARCHAR" else column)
        texts += [column] if kind == "VARCHAR" else []
    rows = f"select {', '.join(shown)} from ({query}) order by all"
    options = "format csv, header" + (f", force_quote ({', '.join(texts)})" if texts else "")
    return write_atomically(
        target, lambda aside: connection.execute(f"copy ({rows}) to {literal(str(aside))} ({options})")
    )


def write_parquet(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> Path:
    """A query's rows as Parquet (zstd), ordered by all columns."""
    rows = f"select * from ({query}) order by all"
    return write_atomically(
        target,
        lambda aside: connection.execute(f"copy ({rows}) to {literal(str(aside))} (format parquet, compression zstd)"),
    )

"""Takes what audiences see out of the warehouse: ordered rows as Parquet files, and tells of the tables and views that they become.

Figures of many rows are taken apart: what they are of stands once, under the warehouse's own numbers, and a view puts it
back. Of these, and of what stays as it is once its period is closed, only what changed is taken out (see keeping.py).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from orchestration.closing import Fingerprint, attach_warehouse, fingerprint, scratch_connection
from orchestration.errors import UsageWarehouseError
from orchestration.publishing.audiences import AUDIENCES, SERIES, SERIES_CODES, Relation, place
from orchestration.publishing.catalog import COLUMNS, RELATIONS
from orchestration.publishing.keeping import Held, Receipts, by, is_kept, table_of
from orchestration.publishing.writing import literal, name
from orchestration.settings import Settings

FINAL = "from warehouse.billing.billing_periods where status = 'final'"
CLOSED = f"select billing_period {FINAL}"
RECEIPTS = f"select billing_period, receipt_sha256 {FINAL} and receipt_sha256 is not null"
# 128-bit integers, which Parquet would turn into floating point
WIDE_INTEGERS = ("HUGEINT", "UHUGEINT")


@dataclass(frozen=True)
class Column:
    """A column as readers see it: its name, type, comment (None = none), and whether a value may be missing."""

    name: str
    kind: str
    comment: str | None
    nullable: bool


@dataclass(frozen=True)
class Shown:
    """A relation as readers see it. `rows` is what stands behind `from` in SQL on the warehouse."""

    schema: str
    name: str
    rows: str
    columns: tuple[Column, ...]
    comment: str | None

    def told(self, **content: str | list[str] | None) -> dict[str, Any]:
        """What makes it (see writing.py)."""
        columns = [astuple(column) for column in self.columns]
        return {"schema": self.schema, "name": self.name, "columns": columns, "comment": self.comment, **content}


@dataclass(frozen=True)
class Extraction:
    """One snapshot of the warehouse. What several audiences see is copied once."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    known: dict[tuple[str, str], str | None]
    described: dict[tuple[str, str, str], tuple[str | None, bool]]
    copies: dict[str, Path] = field(default_factory=dict)
    fingerprints: dict[str, Fingerprint] = field(default_factory=dict)

    def table(self, audience: str, relation: Relation) -> dict[str, Any]:
        """Copy the relation's rows and tell of the table that they become. Raises UsageWarehouseError where it is missing, as the others here do."""
        shown = self._shown(audience, relation)
        if not relation.settles:
            return shown.told(rows=self._copied(shown), more=False)
        return shown.told(rows=self._copied(self._of_periods(shown, closed=False)), more=True)

    def receipts(self) -> Receipts:
        """Those of the closed periods."""
        return dict(self.connection.execute(RECEIPTS).fetchall())

    def held(self, audience: str, settled: Held | None = None) -> Held:
        """What the audience's kept tables have to hold. Dates and periods that are `settled` are not compared again, only counted."""
        return {
            (table := table_of(audience, relation)): self._fingerprint(
                self._kept(audience, relation), by(relation), (settled or {}).get(table)
            )
            for relation in AUDIENCES[audience]
            if is_kept(relation)
        }

    def changed(self, audience: str, relation: Relation, values: list[str] | None) -> dict[str, Any]:
        """Copy those rows of a kept table that have one of the values in the column by which it is kept (None: all), and tell of the table."""
        shown = self._kept(audience, relation)
        if values is not None:
            shown = replace(shown, rows=f"(from {shown.rows} where {_among(by(relation), values)})")
        return shown.told(rows=self._copied(shown, _order(relation, shown)), by=by(relation), changed=values)

    def view(self, audience: str, relation: Relation) -> dict[str, Any]:
        """Tell of the view that shows a coded relation as the warehouse does: figures, and what they are of."""
        shown = self._shown(audience, relation)
        texts = self._texts(shown)
        both = ", ".join(
            f"{'series' if column in texts else 'figures'}.{name(column.name)}" for column in shown.columns
        )
        # without the name of the file, so that it can be opened under another one
        inside = [
            f"{name(schema)}.{name(table)}" for schema, table in (table_of(audience, relation), place(audience, SERIES))
        ]
        codes = ", ".join(SERIES_CODES)
        return shown.told(
            query=f"select {both} from {inside[0]} as figures inner join {inside[1]} as series using ({codes})"
        )

    def _kept(self, audience: str, relation: Relation) -> Shown:
        """What is kept of a relation from one publishing to the next: the figures of a coded one, the closed periods of one that settles."""
        shown = self._shown(audience, relation)
        if relation.coded:
            return replace(self._coded(shown, relation), name=table_of(audience, relation)[1])
        return self._of_periods(shown, closed=True)

    def _of_periods(self, shown: Shown, closed: bool) -> Shown:
        """The rows of closed periods, or all others."""
        rest = f"select distinct billing_period from {shown.rows} where billing_period not in ({CLOSED}) or billing_period is null"
        periods = {period for (period,) in self.connection.execute(CLOSED if closed else rest).fetchall()}
        return replace(shown, rows=f"(from {shown.rows} where {_among('billing_period', periods)})")

    def _fingerprint(self, shown: Shown, column: str, settled: Fingerprint | None) -> Fingerprint:
        """That of the rows, taken once for all audiences. Whether a value may be missing decides how a column is written (see writing.py)."""
        if shown.rows not in self.fingerprints:
            fields = tuple((column.name, column.kind, column.nullable) for column in shown.columns)
            known, rows = frozenset(), f"from {shown.rows}"
            if settled and settled[0] == fields:
                counted = self._counted(shown, column)
                known = frozenset(row for row in settled[1] if row[:2] in counted)
                rest = {value for value, _ in counted} - {value for value, *_ in known}
                rows += f" where {_among(column, rest)}"
            self.fingerprints[shown.rows] = (fields, known | fingerprint(self.connection, rows, column)[1])
        return self.fingerprints[shown.rows]

    def _counted(self, shown: Shown, column: str) -> set[tuple]:
        """Each value of the column, as text, and how many rows have it."""
        query = f"select {column}::varchar, count(*) from {shown.rows} group by {column}"
        return set(self.connection.execute(query).fetchall())

    def _shown(self, audience: str, relation: Relation) -> Shown:
        rows = f"({_query(relation)})"
        source = _parts(relation.source)
        if source not in self.known:
            raise UsageWarehouseError(f"{relation.source} is missing from the warehouse: run `usage build`")
        return Shown(*place(audience, relation), rows, self._columns(rows, relation.source), self.known[source])

    def _columns(self, rows: str, source: str) -> tuple[Column, ...]:
        found = self.connection.execute(f"describe from {rows}").fetchall()
        return tuple(
            Column(column, kind, *self.described.get((*_parts(source), column), (None, True)))
            for column, kind, *_ in found
        )

    def _texts(self, shown: Shown) -> tuple[Column, ...]:
        """The columns that say what a row's figures are of."""
        return tuple(column for column in shown.columns if (*_parts(SERIES.source), column.name) in self.described)

    def _coded(self, shown: Shown, relation: Relation) -> Shown:
        """A coded relation with numbers in place of its texts."""
        rows = f"warehouse.{relation.coded}"
        stored = {column.name: column for column in self._columns(rows, relation.coded)}
        texts = self._texts(shown)
        first = shown.columns.index(texts[0])
        figures = [column for column in shown.columns[first:] if column not in texts]
        columns = tuple(
            replace(column, nullable=stored[column.name].nullable)
            for column in (*shown.columns[:first], *(stored[code] for code in SERIES_CODES), *figures)
        )
        return replace(
            shown,
            rows=f"(select {', '.join(name(column.name) for column in columns)} from {rows})",
            columns=columns,
            comment=f"The figures of {shown.schema}.{shown.name}, which shows them with what they are of.",
        )

    def _copied(self, shown: Shown, order: str = "all") -> str:
        """The Parquet file of the rows, in order; written unless that was done for another audience."""
        carried = ", ".join(
            f"{name(column.name)}::varchar as {name(column.name)}"
            if column.kind in WIDE_INTEGERS
            else name(column.name)
            for column in shown.columns
        )
        query = f"select {carried} from {shown.rows} order by {order}"
        if query not in self.copies:
            target = self.folder / f"{len(self.copies)}-{shown.name}.parquet"
            self.connection.execute(f"copy ({query}) to {literal(str(target))} (format parquet)")
            self.copies[query] = target
        return str(self.copies[query])


@contextmanager
def extraction(settings: Settings, folder: Path) -> Iterator[Extraction]:
    """A snapshot of the warehouse, from which files are put into the folder."""
    with scratch_connection(settings) as connection:
        attach_warehouse(connection, settings)
        connection.execute("begin transaction")
        known = {row[:2]: row[2] for row in connection.execute(RELATIONS, ["warehouse"]).fetchall()}
        described = {row[:3]: row[4:] for row in connection.execute(COLUMNS, ["warehouse"]).fetchall()}
        yield Extraction(connection, folder, known, described)


def _order(relation: Relation, shown: Shown) -> str:
    """How rows are sorted. The times and numbers of figures say which row it is: the rest need not be compared."""
    columns = [name(column.name) for column in shown.columns]
    return ", ".join(columns[: columns.index(name(SERIES_CODES[-1])) + 1]) if relation.coded else "all"


def _among(column: str, values: Collection[str | None]) -> str:
    """The condition that a column has one of the values. They stand there one by one: DuckDB then reads no part of a table that holds none of them."""
    named = ", ".join(literal(value) for value in sorted(set(values) - {None}))
    conditions = [f"{column} in ({named})"] * bool(named) + [f"{column} is null"] * (None in values)
    return " or ".join(conditions) or "false"


def _parts(source: str) -> tuple[str, ...]:
    return tuple(source.split("."))


def _query(relation: Relation) -> str:
    shown = ", ".join(relation.columns) or "*"
    replaced = ", ".join(f"{expression} as {column}" for column, expression in relation.shown_as.items())
    return f"select {shown}{f' replace ({replaced})' if replaced else ''} from warehouse.{relation.source}"

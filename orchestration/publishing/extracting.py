"""Takes what audiences see out of the warehouse: ordered rows as Parquet files, and tells of the tables and views that they become.

Figures of many rows are taken apart: what a row's figures are of stands once, under a number in the order of the texts, and
a view puts it back. The same rows thereby give the same files, whatever numbers the warehouse knows them by.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from orchestration.closing import attach_warehouse, scratch_connection
from orchestration.errors import UsageWarehouseError
from orchestration.publishing.audiences import SERIES, SERIES_CODES, Relation, place
from orchestration.publishing.catalog import COLUMNS, TABLES
from orchestration.publishing.writing import literal, name
from orchestration.settings import Settings

# 128-bit integers, which Parquet would turn into floating point
WIDE_INTEGERS = ("HUGEINT", "UHUGEINT")


@dataclass(frozen=True)
class Column:
    """A column as readers see it: its name, type, and comment (None = none)."""

    name: str
    kind: str
    comment: str | None


@dataclass(frozen=True)
class Shown:
    """A relation as readers see it. `rows` is what stands behind `from` in SQL on the warehouse."""

    schema: str
    name: str
    rows: str
    columns: tuple[Column, ...]
    comment: str | None

    def told(self, **content: str) -> dict[str, Any]:
        """What makes it (see writing.py)."""
        columns = [(column.name, column.kind, column.comment) for column in self.columns]
        return {"schema": self.schema, "name": self.name, "columns": columns, "comment": self.comment, **content}


@dataclass(frozen=True)
class Extraction:
    """One snapshot of the warehouse. What several audiences see is copied once."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    known: dict[tuple[str, str], str | None]
    comments: dict[tuple[str, str, str], str | None]
    copies: dict[str, Path] = field(default_factory=dict)

    def parts(self, audience: str, relation: Relation) -> Iterator[dict[str, Any]]:
        """Copy the rows and tell the tables and views to make of them (see writing.py). Raises UsageWarehouseError where the relation is missing."""
        shown = self._shown(audience, relation)
        if relation.coded:
            yield from self._taken_apart(shown, relation.coded)
        else:
            yield self._copied(shown)

    def _shown(self, audience: str, relation: Relation) -> Shown:
        source = tuple(relation.source.split("."))
        if source not in self.known:
            raise UsageWarehouseError(f"{relation.source} is missing from the warehouse: run `usage build`")
        rows = f"({_query(relation)})"
        described = self.connection.execute(f"describe from {rows}").fetchall()
        columns = tuple(Column(column, kind, self.comments.get((*source, column))) for column, kind, *_ in described)
        return Shown(*place(audience, relation), rows, columns, self.known[source])

    def _copied(self, shown: Shown, order: str = "all") -> dict[str, Any]:
        """Write the rows, in order, unless that was done for another audience, and tell of the table."""
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
        return shown.told(rows=str(self.copies[query]))

    def _taken_apart(self, shown: Shown, coded: str) -> Iterator[dict[str, Any]]:
        """Write the series and the figures by number, and tell of both and of the view that shows them together."""
        texts = tuple(column for column in shown.columns if (*SERIES.split("."), column.name) in self.comments)
        codes = ", ".join(SERIES_CODES)
        numbered = f"numbered_{shown.name}"
        ordered = ", ".join(name(column.name) for column in texts)
        self.connection.execute(f"""
            create temp table if not exists {numbered} as
            select (row_number() over (order by {ordered}))::integer as series, *
            from (select distinct {codes} from warehouse.{coded}) inner join warehouse.{SERIES} using ({codes})
        """)
        number = Column(
            "series", "INTEGER", f"Number of what the figures are of, as {shown.schema}.{shown.name}_series has it."
        )
        series = replace(
            shown,
            name=f"{shown.name}_series",
            rows=numbered,
            columns=(number, *texts),
            comment=f"What each number of {shown.schema}.{shown.name}_figures stands for.",
        )
        first, *rest = texts
        figures = replace(
            shown,
            name=f"{shown.name}_figures",
            rows=f"warehouse.{coded} inner join {numbered} using ({codes})",
            columns=tuple(number if column == first else column for column in shown.columns if column not in rest),
            comment=f"The figures of {shown.schema}.{shown.name}, which shows them with what they are of.",
        )
        grain = ", ".join(name(column.name) for column in figures.columns[: figures.columns.index(number) + 1])
        both = ", ".join(
            f"{'series' if column in texts else 'figures'}.{name(column.name)}" for column in shown.columns
        )
        # without the name of the file, so that it can be opened under another one
        inside = [f"{name(part.schema)}.{name(part.name)}" for part in (figures, series)]
        view = f"select {both} from {inside[0]} as figures inner join {inside[1]} as series using (series)"
        yield self._copied(series)
        # a row's time and series say which it is: the rest need not be compared
        yield self._copied(figures, order=grain)
        yield shown.told(query=view)


@contextmanager
def extraction(settings: Settings, folder: Path) -> Iterator[Extraction]:
    """A snapshot of the warehouse, from which files are put into the folder."""
    with scratch_connection(settings) as connection:
        attach_warehouse(connection, settings)
        connection.execute("begin transaction")
        known = {row[:2]: row[2] for row in connection.execute(TABLES, ["warehouse"]).fetchall()}
        comments = {row[:3]: row[4] for row in connection.execute(COLUMNS, ["warehouse"]).fetchall()}
        yield Extraction(connection, folder, known, comments)


def _query(relation: Relation) -> str:
    shown = ", ".join(relation.columns) or "*"
    replaced = ", ".join(f"{expression} as {column}" for column, expression in relation.shown_as.items())
    return f"select {shown}{f' replace ({replaced})' if replaced else ''} from warehouse.{relation.source}"

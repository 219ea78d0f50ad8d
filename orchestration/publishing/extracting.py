"""Takes what an audience sees out of the warehouse: ordered rows as Parquet files, and a plan of the tables and views that they become.

A mart with few figures a row and many rows is taken apart: what its rows share stands once, under a number in the order of the texts, and
a view puts it back. The same rows thereby give the same files, whatever numbers the warehouse knows them by.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from orchestration.closing import attach_warehouse, scratch_connection
from orchestration.errors import UsageWarehouseError
from orchestration.publishing.audiences import Relation, place
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

    def planned(self, **content: str) -> dict[str, Any]:
        """The part of the plan that makes it (see writing.py)."""
        columns = [(column.name, column.kind, column.comment) for column in self.columns]
        return {"schema": self.schema, "name": self.name, "columns": columns, "comment": self.comment, **content}


def extract(settings: Settings, audience: str, relations: tuple[Relation, ...], folder: Path) -> list[dict[str, Any]]:
    """Copy the audience's rows into the folder, in one snapshot, and return the plan. Raises UsageWarehouseError, naming a relation that is missing."""
    with scratch_connection(settings) as connection:
        attach_warehouse(connection, settings)
        connection.execute("begin transaction")
        known = {row[:2]: row[2] for row in connection.execute(TABLES, ["warehouse"]).fetchall()}
        comments = {row[:3]: row[4] for row in connection.execute(COLUMNS, ["warehouse"]).fetchall()}
        plan = []
        for relation in sorted(relations, key=lambda relation: relation.name):
            source = tuple(relation.source.split("."))
            if source not in known:
                raise UsageWarehouseError(f"{relation.source} is missing from the warehouse: run `usage build`")
            rows = f"({_query(relation)})"
            described = connection.execute(f"describe from {rows}").fetchall()
            columns = tuple(Column(column, kind, comments.get((*source, column))) for column, kind, *_ in described)
            shown = Shown(*place(audience, relation), rows, columns, known[source])
            plan += (
                _taken_apart(connection, shown, relation.series, folder)
                if relation.series
                else [_copied(connection, shown, folder)]
            )
    return plan


def _query(relation: Relation) -> str:
    shown = ", ".join(relation.columns) or "*"
    replaced = ", ".join(f"{expression} as {column}" for column, expression in relation.shown_as.items())
    return f"select {shown}{f' replace ({replaced})' if replaced else ''} from warehouse.{relation.source}"


def _copied(connection: duckdb.DuckDBPyConnection, shown: Shown, folder: Path) -> dict[str, Any]:
    """Write the rows, in order, and plan the table."""
    target = folder / f"{shown.schema}.{shown.name}.parquet"
    carried = ", ".join(
        f"{name(column.name)}::varchar as {name(column.name)}" if column.kind in WIDE_INTEGERS else name(column.name)
        for column in shown.columns
    )
    connection.execute(
        f"copy (select {carried} from {shown.rows} order by all) to {literal(str(target))} (format parquet)"
    )
    return shown.planned(rows=str(target))


def _taken_apart(
    connection: duckdb.DuckDBPyConnection, shown: Shown, shared: tuple[str, ...], folder: Path
) -> Iterator[dict[str, Any]]:
    """Write the series and the figures by number, and plan both and the view that shows them together."""
    texts = tuple(column for column in shown.columns if column.name in shared)
    names = ", ".join(name(column.name) for column in texts)
    connection.execute(f"""
        create or replace temp table numbered as
        select (row_number() over (order by {names}))::integer as series, {names} from (select distinct {names} from {shown.rows})
    """)
    number = Column(
        "series", "INTEGER", f"Number of what the figures are of, as {shown.schema}.{shown.name}_series has it."
    )
    series = replace(
        shown,
        name=f"{shown.name}_series",
        rows="numbered",
        columns=(number, *texts),
        comment=f"What each number of {shown.schema}.{shown.name}_figures stands for.",
    )
    first, *rest = texts
    same = " and ".join(f"shown.{name(text.name)} is not distinct from numbered.{name(text.name)}" for text in texts)
    figures = replace(
        shown,
        name=f"{shown.name}_figures",
        rows=f"{shown.rows} as shown inner join numbered on {same}",
        columns=tuple(number if column == first else column for column in shown.columns if column not in rest),
        comment=f"The figures of {shown.schema}.{shown.name}, which shows them with what they are of.",
    )
    both = ", ".join(f"{'series' if column in texts else 'figures'}.{name(column.name)}" for column in shown.columns)
    # without the name of the file, so that it can be opened under another one
    inside = [f"{name(part.schema)}.{name(part.name)}" for part in (figures, series)]
    view = f"select {both} from {inside[0]} as figures inner join {inside[1]} as series using (series)"
    yield _copied(connection, series, folder)
    yield _copied(connection, figures, folder)
    yield shown.planned(query=view)

"""What was published last and is large: a database per audience, kept beside the published files, with hours, days, and the rows of closed periods.

Publishing changes in it what is not so any more, date by date and period by period, and the published file begins as a copy of it:
a night costs what it changed. A database file may still hold what was deleted from it, so rows are taken out of it in place only where
they are numbers; where texts would have to go, it is begun anew. What is kept is judged by its rows, not by a note of
them, and may be deleted at any time: then all is written.
"""

from pathlib import Path

import duckdb

from orchestration.closing import Fingerprint, fingerprint, scratch_connection
from orchestration.publishing.audiences import AUDIENCES, Relation, place
from orchestration.publishing.catalog import TABLES
from orchestration.publishing.writing import literal, name
from orchestration.settings import Settings

# (schema, table) → what its rows of each date or period are like
Held = dict[tuple[str, str], Fingerprint]
# (schema, table) → the dates or periods whose rows are written again; None: all
Changes = dict[tuple[str, str], list[str] | None]


def is_kept(relation: Relation) -> bool:
    return bool(relation.coded) or relation.settles


def by(relation: Relation) -> str:
    """The column by whose values a kept relation is brought up to date."""
    return "billing_date" if relation.coded else "billing_period"


def table_of(audience: str, relation: Relation) -> tuple[str, str]:
    """The (schema, table) in which a relation, or the figures of a coded one, is kept, and then published."""
    schema, table = place(audience, relation)
    return schema, f"{table}_figures" if relation.coded else table


def taken(settings: Settings, audience: str, folder: Path) -> Path:
    """The audience's kept file, moved into the folder: from here on it is this run's, whatever a killed one is still about. There may be none."""
    kept, mine = settings.kept / f"{audience}.duckdb", folder / "kept.duckdb"
    if kept.is_file():
        kept.replace(mine)
    return mine


def keep(settings: Settings, audience: str, mine: Path) -> None:
    """Put the audience's file back for the next time."""
    settings.kept.mkdir(exist_ok=True)
    mine.replace(settings.kept / f"{audience}.duckdb")


def find_changes(settings: Settings, audience: str, file: Path, now: Held) -> Changes:
    """What has to be written into a kept file, so that it holds what is so now. A file that cannot be brought there in place is removed."""
    columns = {table_of(audience, relation): by(relation) for relation in AUDIENCES[audience] if is_kept(relation)}
    texts = {table_of(audience, relation) for relation in AUDIENCES[audience] if relation.settles}
    kept = _held(settings, file, columns)
    if kept is None or any(_lost(now[table], kept[table]) for table in texts & kept.keys()):
        file.unlink(missing_ok=True)
        kept = {}
    return {table: outdated(held, kept.get(table)) for table, held in now.items()}


def _lost(now: Fingerprint, kept: Fingerprint) -> bool:
    """Whether something that is kept is not so any more."""
    return now[0] != kept[0] or bool(kept[1] - now[1])


def _held(settings: Settings, file: Path, columns: dict[tuple[str, str], str]) -> Held | None:
    """What a kept file holds, by these columns of its tables. None: it cannot be read, or holds something else."""
    if not file.is_file():
        return None
    with scratch_connection(settings) as connection:
        try:
            connection.execute(f"attach {literal(str(file))} as kept (read_only)")
            return {
                (schema, table): fingerprint(
                    connection, f"from kept.{name(schema)}.{name(table)}", columns[schema, table]
                )
                for schema, table in connection.execute(TABLES, ["kept"]).fetchall()
            }
        except (duckdb.Error, KeyError):
            return None


def outdated(now: Fingerprint, kept: Fingerprint | None) -> list[str] | None:
    """The dates or periods whose rows differ. None: so many that all is written anew, which also leaves no gaps; or other columns are kept."""
    if kept is None or now[0] != kept[0]:
        return None
    differing = {value for value, *_ in now[1] ^ kept[1]}
    return None if len(differing) * 2 > len(now[1]) else sorted(str(value) for value in differing)

"""Hours and days as they were published last: a database per audience, of numbers alone, kept beside the published files.

Publishing changes in it the dates that have other figures now, and the published file begins as a copy of it: a night costs what
it changed, and no former text, which a database file may still hold where it was deleted, gets into a published file.
What is kept is judged by its rows, not by a note of them, and may be deleted at any time: then all is written.
"""

import datetime as dt
from pathlib import Path

import duckdb

from orchestration.closing import Fingerprint, fingerprint, scratch_connection
from orchestration.publishing.audiences import CODED_BY
from orchestration.publishing.catalog import TABLES
from orchestration.publishing.writing import literal, name
from orchestration.settings import Settings

# (schema, table) → what its rows of each date are like
Figures = dict[tuple[str, str], Fingerprint]


def taken(settings: Settings, audience: str, folder: Path) -> Path:
    """The audience's figures, moved into the folder: from here on they are this run's, whatever a killed one is still about. There may be none."""
    kept, mine = settings.figures / f"{audience}.duckdb", folder / "figures.duckdb"
    if kept.is_file():
        kept.replace(mine)
    return mine


def keep(settings: Settings, audience: str, mine: Path) -> None:
    """Put the audience's figures back for the next time."""
    settings.figures.mkdir(exist_ok=True)
    mine.replace(settings.figures / f"{audience}.duckdb")


def figures_of(settings: Settings, file: Path) -> Figures:
    """What the tables of kept figures hold. A file that cannot be read is removed, and then there is nothing."""
    if not file.is_file():
        return {}
    with scratch_connection(settings) as connection:
        try:
            connection.execute(f"attach {literal(str(file))} as kept (read_only)")
            return {
                (schema, table): fingerprint(connection, f"from kept.{name(schema)}.{name(table)}", CODED_BY)
                for schema, table in connection.execute(TABLES, ["kept"]).fetchall()
            }
        except duckdb.Error:
            connection.close()
            file.unlink()
            return {}


def outdated(now: Fingerprint, kept: Fingerprint | None) -> list[str] | None:
    """The dates whose figures differ. None: so many that all are written anew, which also leaves no gaps, or other columns are kept."""
    if kept is None or now[0] != kept[0]:
        return None
    differing: set[dt.date] = {date for date, *_ in now[1] ^ kept[1]}
    return None if len(differing) * 2 > len(now[1]) else sorted(str(date) for date in differing)

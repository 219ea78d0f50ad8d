"""What was published last and is large: a database per audience, kept beside the published files, with hours, days, and the rows of closed periods.

Publishing changes in it what is not so any more, date by date and period by period, and the published file begins as a copy of it:
a night costs what it changed. A database file may still hold what was deleted from it, so rows are taken out of it in place only where
they are numbers; where texts would have to go, it is begun anew. A note beside the file says what its rows are like and when it was
written; a file that was written since is begun anew, too. Both may be deleted at any time: then all is written.

A night compares what can have changed: final is final, so the rows of a closed period are as the note has it while they are as many and
its receipt is the same. Every other publishing, such as that of the next close, compares all.
"""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from orchestration.closing import Fingerprint
from orchestration.durable import sync
from orchestration.publishing.audiences import AUDIENCES, Relation, place
from orchestration.settings import Settings

# (schema, table) → what its rows of each date or period are like
Held = dict[tuple[str, str], Fingerprint]
# closed period → its receipt's hash
Receipts = dict[str, str]
# audience → a copy of its kept file, and what the file was like then
Ahead = dict[str, tuple[Path, list[int]]]
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


@contextmanager
def copied_ahead(settings: Settings) -> Iterator["Future[Ahead]"]:
    """Copy what is kept while something else is done: a year of it is a gigabyte, for which a disk takes its time. The files stay where they are."""
    folder = settings.scratch / "publish-ahead"
    shutil.rmtree(folder, ignore_errors=True)
    with ThreadPoolExecutor(1) as thread:
        try:
            yield thread.submit(_copied, settings, folder)
        finally:
            thread.shutdown(cancel_futures=True)
            shutil.rmtree(folder, ignore_errors=True)


def _copied(settings: Settings, folder: Path) -> Ahead:
    copies = {}
    try:
        folder.mkdir(parents=True)
        for audience in AUDIENCES:
            if (file := settings.kept / f"{audience}.duckdb").is_file():
                written, copy = _written(file), folder / file.name
                shutil.copyfile(file, copy)
                sync(copy)
                copies[audience] = copy, written
    except OSError:  # it only saves time: whoever needs the copy makes it, and says what is wrong
        pass
    return copies


def take_copy(ahead: Ahead, audience: str, kept: Path, target: Path) -> None:
    """Put the copy in its place, if it is one of the kept file as it is now."""
    copy, written = ahead.get(audience, (None, None))
    if copy and kept.is_file() and _written(kept) == written:
        copy.replace(target)


def keep(settings: Settings, audience: str, mine: Path, held: Held, receipts: Receipts) -> None:
    """Put the audience's file back for the next time, and the note of what it holds."""
    settings.kept.mkdir(exist_ok=True)
    mine.replace(file := settings.kept / f"{audience}.duckdb")
    tables = [[*table, fields, sorted(rows)] for table, (fields, rows) in held.items()]
    draft = mine.with_suffix(".json")
    told = {"written": _written(file), "receipts": receipts, "tables": tables}
    draft.write_text(json.dumps(told), encoding="utf-8")
    draft.replace(_note(settings, audience))


def find_changes(settings: Settings, audience: str, file: Path, now: Held) -> Changes:
    """What has to be written into a kept file, so that it holds what is so now. A file that cannot be brought there in place is removed."""
    texts = {table_of(audience, relation) for relation in AUDIENCES[audience] if relation.settles}
    kept, _ = _told(file, _note(settings, audience))
    if kept is None or kept.keys() - now.keys() or any(_lost(now[table], kept[table]) for table in texts & kept.keys()):
        file.unlink(missing_ok=True)
        kept = {}
    return {table: outdated(held, kept.get(table)) for table, held in now.items()}


def settled(settings: Settings, audience: str, file: Path, receipts: Receipts) -> Held:
    """What the note says of the rows of those periods that have these receipts."""
    kept, known = _told(file, _note(settings, audience))
    # a date begins with its period
    same = {period for period, _ in receipts.items() & known.items()}
    return {
        table: (fields, frozenset(row for row in rows if row[0] and row[0][: len("YYYY-MM")] in same))
        for table, (fields, rows) in (kept or {}).items()
    }


def _lost(now: Fingerprint, kept: Fingerprint) -> bool:
    """Whether something that is kept is not so any more."""
    return now[0] != kept[0] or bool(kept[1] - now[1])


def _told(file: Path, note: Path) -> tuple[Held | None, Receipts]:
    """What a kept file holds by its note, and the receipts that there were. None: there is none of both, or the note is of another file."""
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
        if told["written"] != _written(file):
            return None, {}
        held = {
            (schema, table): (tuple(map(tuple, fields)), frozenset(map(tuple, rows)))
            for schema, table, fields, rows in told["tables"]
        }
        return held, dict(told.get("receipts", {}))
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}


def _note(settings: Settings, audience: str) -> Path:
    return settings.kept / f"{audience}.json"


def _written(file: Path) -> list[int]:
    """What changes when a file is written to: its size, and the time to the nanosecond. Moving it changes neither."""
    found = file.stat()
    return [found.st_size, found.st_mtime_ns]


def outdated(now: Fingerprint, kept: Fingerprint | None) -> list[str] | None:
    """The dates or periods whose rows differ. None: so many that all is written anew, which also leaves no gaps; or other columns are kept."""
    if kept is None or now[0] != kept[0]:
        return None
    differing = {value for value, *_ in now[1] ^ kept[1]}
    return None if len(differing) * 2 > len(now[1]) else sorted(differing)

"""`publish`: build each audience's database aside, and put it in place of the old one in one step.

It has two parts. The first is all that does not rest on gates: what is kept from one publishing to the next (keeping.py) is compared
with the warehouse and brought up to date, and the rest written. A night does so while its gates run. The second shows their results.
"""

import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import duckdb

from orchestration.closing import alike, scratch_connection
from orchestration.durable import sync
from orchestration.errors import UsageWarehouseError
from orchestration.publishing import writing
from orchestration.publishing.audiences import AUDIENCES, Relation
from orchestration.publishing.catalog import COLUMNS, RELATIONS, TABLES
from orchestration.publishing.extracting import Extraction, extraction
from orchestration.publishing.keeping import (
    Ahead,
    Held,
    Receipts,
    find_changes,
    is_kept,
    keep,
    settled,
    table_of,
    take_copy,
    taken,
)
from orchestration.publishing.writing import literal
from orchestration.settings import Settings

# Tells a writer's process of a relation. None: that was all that is kept.
Writer = Callable[[dict[str, Any] | None], None]


def publish(settings: Settings) -> list[Path]:
    """Bring the published files up to date with warehouse.duckdb and return them, one per audience.

    A file whose content is in place already is left as it is. Readers of an old file keep it until they open it anew.
    Raises UsageWarehouseError, naming it, when a relation that an audience sees is missing from the warehouse; then no file is changed.
    """
    with begun(settings) as publishing:
        return publishing.finish()


@dataclass(frozen=True)
class Publishing:
    """One that has begun: `first_part` comes to what the audiences' kept files hold, and the receipts, once that part is out of the warehouse."""

    settings: Settings
    aside: Path
    files: dict[str, tuple[Path, Path]]
    writers: dict[str, Writer]
    at_work: ExitStack
    first_part: "Future[tuple[dict[str, Held], Receipts]]"

    def settle(self) -> None:
        """Wait until the warehouse is not read any more. From here to the end only what rests on gates may change in it."""
        self.first_part.result()

    def finish(self) -> list[Path]:
        """Publish what gates showed, and put the files in place."""
        held, receipts = self.first_part.result()
        with extraction(self.settings, _empty(self.aside / "second")) as warehouse:
            _tell_tables(self.writers, warehouse, gated=True)
            _tell_views(self.writers, warehouse)
        self.at_work.close()
        with ThreadPoolExecutor() as at_once:  # they wait for the disk
            placed = list(at_once.map(lambda pair: _placed(self.settings, pair[0]), self.files.values()))
        for audience, (_, kept) in self.files.items():
            keep(self.settings, audience, kept, held[audience], receipts)
        shutil.rmtree(self.aside)
        return placed


@contextmanager
def begun(settings: Settings, compare_closed: bool = True, ahead: Ahead | None = None) -> Iterator[Publishing]:
    """Begin to publish: in a thread of its own, what does not rest on gates is taken out of the warehouse, of what is kept what has changed.

    Without `compare_closed` the rows of closed periods are taken to be as they were; files may have been copied `ahead` (see keeping.py).
    """
    settings.published.mkdir(parents=True, exist_ok=True)
    aside = _empty(settings.scratch / "publish")
    # the base name is DuckDB's name of the catalog: it must not change when the file is put in place; the folder has a name of its own
    # because the writer of a killed run may still be at work in the one that it was given
    fresh = {audience: Path(tempfile.mkdtemp(dir=aside)) / f"{audience}.duckdb" for audience in AUDIENCES}
    files = {audience: (file, taken(settings, audience, file.parent)) for audience, file in fresh.items()}
    for audience, (file, kept) in files.items():
        take_copy(ahead or {}, audience, kept, file)
    with ExitStack() as at_work:
        writers = {audience: at_work.enter_context(_writer(settings, *pair)) for audience, pair in files.items()}
        # ends before the writers do, whom it tells
        thread = at_work.enter_context(ThreadPoolExecutor(1))
        kept = {audience: file for audience, (_, file) in files.items()}
        first_part = thread.submit(_publish_first, settings, _empty(aside / "first"), kept, writers, compare_closed)
        yield Publishing(settings, aside, files, writers, at_work, first_part)


def _publish_first(
    settings: Settings, folder: Path, files: dict[str, Path], writers: dict[str, Writer], compare_closed: bool
) -> tuple[dict[str, Held], Receipts]:
    """Tell the writers what has to change in the kept files, then of other tables; returns what the former then hold, and the receipts of closed periods."""
    with extraction(settings, folder) as warehouse:
        receipts = warehouse.receipts()
        trusted = {} if compare_closed else receipts
        held = {
            audience: warehouse.held(audience, settled(settings, audience, file, trusted))
            for audience, file in files.items()
        }
        changes = {audience: find_changes(settings, audience, file, held[audience]) for audience, file in files.items()}
        for audience, relation in _pairs():
            if is_kept(relation):
                changed = changes[audience][table_of(audience, relation)]
                writers[audience](warehouse.changed(audience, relation, changed))
        for tell in writers.values():
            tell(None)
        _tell_tables(writers, warehouse, gated=False)
    return held, receipts


def _tell_tables(writers: dict[str, Writer], warehouse: Extraction, gated: bool) -> None:
    """Tell the writers of tables that are not kept, or not all of which is."""
    for audience, relation in _pairs():
        if not relation.coded and relation.gated == gated:
            writers[audience](warehouse.table(audience, relation))


def _tell_views(writers: dict[str, Writer], warehouse: Extraction) -> None:
    """Tell the writers of views on tables before them."""
    for audience, relation in _pairs():
        if relation.coded:
            writers[audience](warehouse.view(audience, relation))


def _pairs() -> list[tuple[str, Relation]]:
    """(audience, relation): first what one audience alone sees, hours above all, which are being written while the rest is taken out of the warehouse."""
    seen_by = Counter(repr(relation) for relations in AUDIENCES.values() for relation in relations)
    pairs = [(audience, relation) for audience, relations in AUDIENCES.items() for relation in relations]
    return sorted(pairs, key=lambda pair: (seen_by[repr(pair[1])], not pair[1].coded, pair[1].name))


def _placed(settings: Settings, fresh: Path) -> Path:
    """The published file that holds what the fresh one does."""
    target = settings.published / fresh.name
    if not (target.is_file() and _same_content(settings, fresh, target)):
        fresh.chmod(0o640)
        put_in_place(fresh, target)
    return target


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _writer(settings: Settings, fresh: Path, kept: Path) -> Iterator[Writer]:
    """A process that knows nothing but the relations that it is told of, and has written the file by the end of the context (why a process: see writing.py)."""
    program = [sys.executable, str(Path(writing.__file__))]
    with subprocess.Popen(
        program, bufsize=0, stdin=PIPE, stdout=DEVNULL, stderr=PIPE, env={**os.environ, **writing.CLEAN_MEMORY}
    ) as process:

        def tell(line: dict[str, Any] | None) -> None:
            with suppress(BrokenPipeError):  # it has ended, and said why
                process.stdin.write(f"{json.dumps(line)}\n".encode())

        try:
            tell({"file": str(fresh), "kept": str(kept), "settings": {"memory_limit": settings.memory_limit}})
            yield tell
        except BaseException:
            process.kill()
            raise
        _, errors = process.communicate()
    if process.returncode:
        reason = (errors.decode().strip().splitlines() or ["killed"])[-1]
        raise UsageWarehouseError(f"cannot write {fresh.name}: {reason}")


def _same_content(settings: Settings, fresh: Path, published: Path) -> bool:
    """Whether two published files hold the same tables, columns, comments and rows; their bytes may still differ.

    Equal bytes are the usual case and cost a read.
    """
    if filecmp.cmp(fresh, published, shallow=False):
        return True
    with scratch_connection(settings) as connection:
        try:
            connection.execute(f"attach {literal(str(published))} as published (read_only)")
        except duckdb.Error:
            return False  # not a database, or held by a writer: replaced rather than trusted
        connection.execute(f"attach {literal(str(fresh))} as fresh (read_only)")
        for catalog_query in (RELATIONS, COLUMNS):
            rows = [connection.execute(catalog_query, [catalog]).fetchall() for catalog in ("fresh", "published")]
            if rows[0] != rows[1]:
                return False
        # small tables first: most nights differ in one, and the large ones need not be read
        tables = connection.execute(TABLES, ["fresh"]).fetchall()
        try:
            return all(
                alike(connection, *(f'select * from {file}."{schema}"."{table}"' for file in ("fresh", "published")))
                for schema, table in tables
            )
        except duckdb.Error:
            return False


def put_in_place(fresh: Path, target: Path) -> None:
    """Make a finished file durable and let it appear under its name in one step."""
    sync(fresh)
    fresh.replace(target)
    sync(target.parent)

"""`publish`: build each audience's database aside, and put it in place of the old one in one step."""

import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import duckdb

from orchestration.closing import alike, scratch_connection
from orchestration.errors import UsageWarehouseError
from orchestration.publishing import writing
from orchestration.publishing.audiences import AUDIENCES
from orchestration.publishing.catalog import COLUMNS, RELATIONS, TABLES
from orchestration.publishing.extracting import Extraction, extraction
from orchestration.publishing.keeping import Changes, find_changes, is_kept, keep, table_of, taken
from orchestration.publishing.writing import literal
from orchestration.settings import Settings

Writer = Callable[[dict[str, Any]], None]


def publish(settings: Settings) -> list[Path]:
    """Bring the published files up to date with warehouse.duckdb and return them, one per audience.

    A file whose content is in place already is left as it is. Readers of an old file keep it until they open it anew.
    Raises UsageWarehouseError, naming it, when a relation that an audience sees is missing from the warehouse; then no file is changed.
    """
    settings.published.mkdir(parents=True, exist_ok=True)
    aside = _empty(settings.scratch / "publish")
    # the base name is DuckDB's name of the catalog: it must not change when the file is put in place; the folder has a name of its own
    # because the writer of a killed run may still be at work in the one that it was given
    fresh = {audience: Path(tempfile.mkdtemp(dir=aside)) / f"{audience}.duckdb" for audience in AUDIENCES}
    kept = {audience: taken(settings, audience, file.parent) for audience, file in fresh.items()}
    with ExitStack() as at_work:
        writers = {
            audience: at_work.enter_context(_writer(settings, file, kept[audience])) for audience, file in fresh.items()
        }
        with extraction(settings, aside) as warehouse:
            held = {audience: warehouse.held(audience) for audience in AUDIENCES}
            changes = {
                audience: find_changes(settings, audience, file, held[audience]) for audience, file in kept.items()
            }
            _tell(writers, warehouse, changes)
    placed = [_placed(settings, file) for file in fresh.values()]
    for audience, file in kept.items():
        keep(settings, audience, file, held[audience])
    shutil.rmtree(aside)
    return placed


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


def _tell(writers: dict[str, Writer], warehouse: Extraction, changes: dict[str, Changes]) -> None:
    """Tell the writers of their relations: first what is kept, of which a copy becomes the file, then other tables, then views on both.

    Of each first what one audience alone sees, hours above all, so that they are being written while the rest is taken out of the warehouse.
    """
    seen_by = Counter(repr(relation) for relations in AUDIENCES.values() for relation in relations)
    pairs = [(audience, relation) for audience, relations in AUDIENCES.items() for relation in relations]
    pairs.sort(key=lambda pair: (seen_by[repr(pair[1])], not pair[1].coded, pair[1].name))
    for audience, relation in pairs:
        if is_kept(relation):
            changed = changes[audience][table_of(audience, relation)]
            writers[audience](warehouse.changed(audience, relation, changed))
    for audience, relation in pairs:
        if not relation.coded:
            writers[audience](warehouse.table(audience, relation))
    for audience, relation in pairs:
        if relation.coded:
            writers[audience](warehouse.view(audience, relation))


@contextmanager
def _writer(settings: Settings, fresh: Path, kept: Path) -> Iterator[Writer]:
    """A process that knows nothing but the relations that it is told of, and has written the file by the end of the context (why a process: see writing.py)."""
    program = [sys.executable, str(Path(writing.__file__))]
    with subprocess.Popen(
        program, bufsize=0, stdin=PIPE, stdout=DEVNULL, stderr=PIPE, env={**os.environ, **writing.CLEAN_MEMORY}
    ) as process:

        def tell(line: dict[str, Any]) -> None:
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
    _sync(fresh)
    fresh.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

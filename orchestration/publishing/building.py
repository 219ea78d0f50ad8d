"""`publish`: build each audience's database aside, and put it in place of the old one in one step."""

import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb

from orchestration.closing import alike, scratch_connection
from orchestration.errors import UsageWarehouseError
from orchestration.publishing import writing
from orchestration.publishing.audiences import AUDIENCES
from orchestration.publishing.catalog import COLUMNS, TABLES
from orchestration.publishing.extracting import extract
from orchestration.publishing.writing import literal
from orchestration.settings import Settings


def publish(settings: Settings) -> list[Path]:
    """Bring the published files up to date with warehouse.duckdb and return them, one per audience.

    A file whose content is in place already is left as it is. Readers of an old file keep it until they open it anew.
    Raises UsageWarehouseError, naming it, when a relation that an audience sees is missing from the warehouse; then no file is changed.
    """
    settings.published.mkdir(parents=True, exist_ok=True)
    aside = _empty(settings.scratch / "publish")
    writing_them = {}
    with ThreadPoolExecutor(len(AUDIENCES)) as pool:
        # the largest first: while it is written, on one core, the next is taken out of the warehouse
        for audience in sorted(AUDIENCES, key=lambda audience: -len(AUDIENCES[audience])):
            # a name of its own: the writer of a killed run may still be at work in the folder that it was given
            work = Path(tempfile.mkdtemp(prefix=f"{audience}-", dir=aside))
            # the base name is DuckDB's name of the catalog: it must not change when the file is put in place
            fresh, relations = work / f"{audience}.duckdb", extract(settings, audience, AUDIENCES[audience], work)
            writing_them[audience] = pool.submit(_write, settings, fresh, relations)
    written = [writing_them[audience].result() for audience in AUDIENCES]
    placed = [_placed(settings, fresh) for fresh in written]
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


def _write(settings: Settings, fresh: Path, relations: list[dict[str, Any]]) -> Path:
    """Let a process that knows nothing but these relations write the file, which is returned (why a process: see writing.py)."""
    plan = {"file": str(fresh), "settings": {"memory_limit": settings.memory_limit}, "relations": relations}
    program = [sys.executable, str(Path(writing.__file__))]
    done = subprocess.run(
        program, input=json.dumps(plan), text=True, capture_output=True, env={**os.environ, **writing.CLEAN_MEMORY}
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["killed"])[-1]
        raise UsageWarehouseError(f"cannot write {fresh.name}: {reason}")
    return fresh


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
        for catalog_query in (TABLES, COLUMNS):
            rows = [connection.execute(catalog_query, [catalog]).fetchall() for catalog in ("fresh", "published")]
            if rows[0] != rows[1]:
                return False
        tables = [row[:2] for row in connection.execute(TABLES, ["fresh"]).fetchall()]
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

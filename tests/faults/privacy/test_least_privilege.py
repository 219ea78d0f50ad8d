"""Least privilege: what a home holds is private to owner and group, receipts are read-only, an audience's file holds its relations only."""

import os
import stat
from pathlib import Path

import duckdb
import pytest

from orchestration.publishing import AUDIENCES
from orchestration.settings import Settings
from tests.faults.command import Command

Home = tuple[Settings, dict[str, int], str]
FOLDERS, FILES, RECEIPTS, KEY = 0o750, 0o640, 0o440, 0o600


def too_open(home: Path) -> list[str]:
    """Paths with more rights than they may have; the inbox's are its producers'."""
    found = []
    for path in [home, *sorted(home.rglob("*"))]:
        name, mode = path.relative_to(home).as_posix(), stat.S_IMODE(path.lstat().st_mode)
        allowed = FOLDERS if path.is_dir() else KEY if name == ".pii_key" else FILES
        if name.startswith("finalized/") and path.is_file():
            allowed = RECEIPTS
        if mode & ~allowed and not name.startswith("inbox"):
            found.append(f"{name} {mode:o}")
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home made by the command line under a umask that would let everybody write."""
    from datetime import timedelta

    from tests.end_to_end.histories import Options, make_history

    root = tmp_path_factory.mktemp("rights")
    (place,) = make_history(21, Options(events=60, landings=1, closable=True)).write(root / "dumps")
    close = ("month-end", "2026-09", "--as-of", (place.landed_at + timedelta(hours=1)).isoformat())
    out = str(root / "home" / "exports" / "all")
    commands = [
        Command("land", ("land", str(place.paths), "--as-of", place.landed_at.isoformat())),
        Command("month-end", close),
        Command("export", ("export", "--audience", "finance", "--period", "2026-09", "--format", "csv", "--out", out)),
        Command("verify", ("verify", "--no-recompute")),
    ]
    for command in commands:
        done = command.run(root / "home", preexec_fn=lambda: os.umask(0))
        assert done.returncode == 0, done.stderr
    return root / "home"


def test_all_rooms_make_private_files_and_folders_whatever_the_umask(home: Path) -> None:
    for made in (
        "warehouse.duckdb",
        "gates/index.html",
        "gates/data_docs",
        "exports/all",
        ".dbt/target",
        "lake/batches",
    ):
        assert (home / made).exists()
    assert list(home.glob("finalized/*/receipt.json"))
    assert too_open(home) == []


def test_dagsters_steps_make_private_files_too(lived_in: Home) -> None:
    """Dagster's own files follow the umask under which `make dev` starts it."""
    settings, _, _ = lived_in
    own = ("dagster", ".dbt/target/manifest.json", ".dbt/target", ".dbt/logs", ".dbt")
    assert [entry for entry in too_open(settings.home) if not entry.startswith((*own, ". "))] == []


def test_make_dev_starts_dagster_with_private_files() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\ndev:")[2].partition("\n\n")[0].splitlines()[1:]
    assert recipe and all(line.lstrip("\t@").startswith("umask 027 && ") for line in recipe)


@pytest.mark.parametrize("audience", sorted(AUDIENCES))
def test_a_published_file_holds_its_audiences_relations_and_nothing_else(lived_in: Home, audience: str) -> None:
    """By the file's own catalog: tables, views, macros, sequences, types, and schemas without tables."""
    settings, _, _ = lived_in
    allowed = set()
    for relation in AUDIENCES[audience]:
        schema, _, table = relation.name.partition(".")
        allowed.add(("main" if schema == audience else schema, table))
    with duckdb.connect(str(settings.published / f"{audience}.duckdb"), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        others = {
            what: connection.execute(f"select count(*) from {what}() where not internal").fetchone()[0]
            for what in ("duckdb_views", "duckdb_functions", "duckdb_types")
        }
        sequences = connection.execute("select count(*) from duckdb_sequences()").fetchone()[0]
        schemas = connection.execute(
            "select schema_name from duckdb_schemas() where database_name = current_database() and not internal"
        ).fetchall()
    assert set(tables) == allowed and len(tables) == len(allowed)
    assert others == {"duckdb_views": 0, "duckdb_functions": 0, "duckdb_types": 0} and sequences == 0
    assert {schema for (schema,) in schemas} <= {schema for schema, _ in allowed} | {"main"}
    assert ("usage", "usage_events") in allowed or audience == "finance", "only analysts see events"

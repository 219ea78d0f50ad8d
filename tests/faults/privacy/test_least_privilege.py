"""Least privilege: what a home holds is private to owner and group, receipts are read-only, an audience's file holds its relations only."""

import os
import shutil
from pathlib import Path

import duckdb
import pytest

from orchestration.publishing import AUDIENCES
from orchestration.publishing.audiences import place
from tests.faults.command import Command
from tests.faults.crashes.chain import Chain
from tests.faults.crashes.stages import PERIOD
from tests.faults.privacy.modes import too_open


@pytest.fixture(scope="module")
def home(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose stages, and an export, ran under a umask that would let everybody write."""
    home = tmp_path_factory.mktemp("rights") / "home"
    shutil.copytree(chain.after, home)
    out = ("--format", "csv", "--out", str(home / "exports" / "all"))
    export = Command("export", ("export", "--audience", "finance", "--period", PERIOD, *out))
    done = export.run(home, preexec_fn=lambda: os.umask(0))
    assert done.returncode == 0, done.stderr
    return home


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


def test_make_dev_starts_dagster_with_private_files() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\ndev:")[2].partition("\n\n")[0].splitlines()[1:]
    assert recipe and all(line.lstrip("\t@").startswith("umask 027 && ") for line in recipe)


@pytest.mark.parametrize("audience", sorted(AUDIENCES))
def test_a_published_file_holds_its_audiences_relations_and_nothing_else(chain: Chain, audience: str) -> None:
    """By the file's own catalog: tables, views, macros, sequences, types, and schemas without tables."""
    allowed, views = set(), set()
    for relation in AUDIENCES[audience]:
        schema, table = place(audience, relation)
        if relation.coded:
            views.add((schema, table))
        allowed.add((schema, f"{table}_figures" if relation.coded else table))
    with duckdb.connect(str(chain.after / "published" / f"{audience}.duckdb"), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        shown = connection.execute("select schema_name, view_name from duckdb_views() where not internal").fetchall()
        others = {
            what: connection.execute(f"select count(*) from {what}() where not internal").fetchone()[0]
            for what in ("duckdb_functions", "duckdb_types")
        }
        sequences = connection.execute("select count(*) from duckdb_sequences()").fetchone()[0]
        schemas = connection.execute(
            "select schema_name from duckdb_schemas() where database_name = current_database() and not internal"
        ).fetchall()
    assert set(tables) == allowed and len(tables) == len(allowed)
    assert set(shown) == views and len(shown) == len(views)
    assert others == {"duckdb_functions": 0, "duckdb_types": 0} and sequences == 0
    assert {schema for (schema,) in schemas} <= {schema for schema, _ in allowed} | {"main"}
    assert ("usage", "usage_events") not in allowed, "nobody is shown single events"

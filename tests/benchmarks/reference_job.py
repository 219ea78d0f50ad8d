"""Runs reference.sql: `python -m tests.benchmarks.reference_job HOME OUTPUT`; the tables are then in OUTPUT/reference.duckdb."""

from pathlib import Path

import duckdb

from tests.benchmarks.jobs import CURRENCIES, home_and_output

SCRIPT = Path(__file__).with_name("reference.sql")
DATABASE = "reference.duckdb"


def run(home: Path, output: Path) -> None:
    """Computes the tables from the lake's files into a new database file."""
    database = output / DATABASE
    database.unlink(missing_ok=True)
    with duckdb.connect(str(database)) as connection:
        for name, value in (("lake", home / "lake"), ("currencies", CURRENCIES)):
            connection.execute(f"set variable {name} = $value", {"value": str(value)})
        connection.execute(SCRIPT.read_text())


if __name__ == "__main__":
    run(*home_and_output(__doc__))

"""Runs reference.sql: `python -m tests.benchmarks.run_reference HOME OUTPUT.duckdb`."""

import argparse
from pathlib import Path

import duckdb

SCRIPT = Path(__file__).with_name("reference.sql")
CURRENCIES = Path(__file__).parents[2] / "dbt_project" / "seeds" / "currencies.csv"


def run(lake: Path, output: Path) -> None:
    """Computes the tables from the lake's files into a new database file."""
    output.unlink(missing_ok=True)
    with duckdb.connect(str(output)) as connection:
        for name, value in (("lake", lake), ("currencies", CURRENCIES)):
            connection.execute(f"set variable {name} = $value", {"value": str(value)})
        connection.execute(SCRIPT.read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    run(arguments.home / "lake", arguments.output)

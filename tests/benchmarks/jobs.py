"""What the jobs that are measured against each other have in common: their arguments, and where they find what they read."""

import argparse
from pathlib import Path

CURRENCIES = Path(__file__).parents[2] / "dbt_project" / "seeds" / "currencies.csv"


def home_and_output(purpose: str | None) -> tuple[Path, Path]:
    """The arguments of every job: the home whose lake it reads, and the folder it writes to, which is made."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("home", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    return arguments.home, arguments.output


def event_files(home: Path) -> list[Path]:
    """The lake's files in the order in which they landed; the rows of each are in the order of their records."""
    files = (home / "lake" / "usage_events").glob("landed_date=*/batch=*/*.parquet")
    return sorted(files, key=lambda path: (int(path.parent.name.partition("=")[2]), path.name))


def reference_file(home: Path, table: str) -> Path:
    """The newest version of a reference table."""
    versions = (home / "lake" / "reference" / table).glob("version=*/*.parquet")
    return max(versions, key=lambda path: int(path.parent.name.partition("=")[2]))

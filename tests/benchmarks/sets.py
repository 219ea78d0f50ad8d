"""Load sets and homes to measure on. Everything lies in one work folder and is made once; a folder that is kept serves the next run as well."""

import datetime as dt
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from raw_samples.generator.load import LONGEST_DELAY, START, write_load
from tests.benchmarks.measuring import module, run, usage
from tests.benchmarks.reference_job import DATABASE

EVENTS_FOLDER = "events/load-meter"


@dataclass(frozen=True)
class LoadSet:
    """A folder of dumps, one or more files per day of collection, with its reference tables."""

    folder: Path
    events: int
    days: int

    @property
    def reference(self) -> Path:
        return self.folder / "reference"

    def collected(self, first: int, after: int) -> list[Path]:
        """The dumps collected on the days `first` to before `after`, numbered from 0."""
        dates = {str(START + dt.timedelta(days=day)) for day in range(first, after)}
        return sorted(path for path in (self.folder / EVENTS_FOLDER).iterdir() if path.name[11:21] in dates)

    @property
    def last_collection(self) -> int:
        """The day after the last dump: late events and repeated ones come some days after the end."""
        return self.days + LONGEST_DELAY + 1


def load_set(work: Path, events: int, days: int, accounts: int = 500, form: str = "parquet") -> LoadSet:
    """A load set of that size, written unless it is there."""
    folder = work / f"load-{events}-{days}-{accounts}-{form}"
    if not (folder / "load.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_load(folder, events, days, accounts, form=form)
    return LoadSet(folder, events, days)


def instant(day: int, hour: int = 2) -> str:
    """A time on a day of the set, numbered from 0, for --as-of."""
    return f"{START + dt.timedelta(days=day)}T{hour:02d}:00:00Z"


def period_of(day: int) -> str:
    return (START + dt.timedelta(days=day)).strftime("%Y-%m")


def landed(home: Path, paths: list[Path], as_of: str) -> Path:
    """The home, with these dumps and reference tables landed in one batch."""
    run(usage(home, "land", "--as-of", as_of, *paths))
    return home


def fresh(home: Path) -> None:
    """Forget what was built; what landed stays."""
    for name in ("warehouse.duckdb", "warehouse.duckdb.wal"):
        (home / name).unlink(missing_ok=True)


def copied(home: Path, target: Path, built: bool = True) -> Path:
    """A home of its own with the same lake (its files are immutable: links), and what was built if asked for; all on disk, so that no run waits for it."""
    shutil.rmtree(target, ignore_errors=True)
    without = shutil.ignore_patterns("lake", *(() if built else ("warehouse.duckdb*", "published")))
    shutil.copytree(home, target, ignore=without)
    shutil.copytree(home / "lake", target / "lake", copy_function=lambda a, b: Path(b).hardlink_to(a))
    os.sync()
    return target


def settled(home: Path) -> Path:
    """The home as one that was never moved: dbt parses a project anew where it finds another path, and keeps what it parsed."""
    run(module("tasks", "parse", home))
    return home


LINES = "(select billing_period, account_id, sku, currency_code, sum(amount) as amount from {lines} group by all)"
LEDGER = """
    select
        'entry-' || row_number() over (order by billing_period, account_id, sku, currency_code) as entry_id, *,
        timestamp '{posted_at}' as posted_at
    from {entries}
"""


def write_ledger(database: Path, lines: str, target: Path, posted_at: str, entries: str = "from booked") -> Path:
    """finance_ledger.csv: what finance booked, from the invoice lines of a database. `entries` may leave some of them out, to have breaks."""
    target.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(database), read_only=True) as connection:
        booked = f"(with booked as {LINES.format(lines=lines)} {entries})"
        query = LEDGER.format(posted_at=posted_at.replace("T", " ").rstrip("Z"), entries=booked)
        connection.execute(f"copy ({query}) to '{target / 'finance_ledger.csv'}' (format csv, header true)")
    return target


def ledger_of_reference(output: Path, target: Path, posted_at: str, entries: str = "from booked") -> Path:
    """The ledger as the reference has it: an amount that did not come from this house."""
    return write_ledger(output / DATABASE, "invoice_lines", target, posted_at, entries)


def month_starts(before: int) -> list[int]:
    """The days of the set, numbered from 0, on which a month begins: those after day 0, up to `before`."""
    return [day for day in range(1, before + 1) if (START + dt.timedelta(days=day)).day == 1]

"""What all parts work on: the scale, the work folder, and the homes that several parts read."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measuring import run, usage
from tests.benchmarks.sets import LoadSet, instant, landed, load_set


@dataclass(frozen=True)
class Bench:
    """The scale of a run. `told` is given each step as it is done."""

    work: Path
    events: int
    days: int
    days_long: int
    runs: int
    told: Callable[[str], object]
    # how many events the parts take at most whose set-up or files would otherwise take hours: the long history (per `days`), landing, queries
    long_events: int = 2_000_000
    landing_events: int = 1_000_000
    query_events: int = 1_000_000

    @property
    def load(self) -> LoadSet:
        return load_set(self.work, self.events, self.days)

    @property
    def now(self) -> str:
        """When everything of the load set has been collected."""
        return instant(self.load.last_collection)

    def landed_home(self) -> Path:
        """The home in which all of the load set has landed."""
        load, home = self.load, self.work / f"home-{self.events}-{self.days}"
        if not any(home.glob("lake/batches/batch=*.json")):
            shutil.rmtree(home, ignore_errors=True)
            self.told("landing the load set")
            landed(home, [load.reference, load.folder / "events"], self.now)
        return home

    def built_home(self) -> Path:
        """The same home after a nightly run."""
        home = self.landed_home()
        if not (home / "published" / "finance.duckdb").exists():
            self.told("first nightly run")
            run(usage(home, "nightly", "--as-of", self.now))
        return home

    def folder(self, name: str) -> Path:
        """An empty folder in the work folder."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

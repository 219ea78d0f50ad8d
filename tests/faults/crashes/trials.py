"""Trials: a command is killed (-9, with all its children) again and again, then simply run; the end state must be the undisturbed one's.

A line is a home and the commands that bring a small closable history from dumps to two final periods. Its undisturbed twin
is run once, and what stands in the home before and after each command is kept. All homes of a line lie at the same path in
their turn, so that nothing can differ by its name.
"""

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import duckdb

from tests.end_to_end.histories import Options, make_history
from tests.end_to_end.house import fingerprints
from tests.faults.command import Command, kill_when

# What a run leaves for people and programs, byte for byte; of the rest of a home only the names are compared.
IMMUTABLE = ("lake", "finalized", "published", "gates/results")
# dbt's own notes (timings, compiled SQL): rewritten by each build, read by no other.
NOTES = (".dbt",)

# Histories whose two periods close, and (seconds, commands): how much of a line a soak shorter than this tries.
CLOSABLE = (3, 11, 21)
SHORT_SOAKS = ((60, 1), (300, 2), (900, 3))

Due = Callable[[], bool]
# Says when to kill a command that was started on this home and takes so many seconds.
Killer = Callable[[Path, float], Due]


def after_share(share: float) -> Killer:
    """Kill when this share of the command's usual time is over."""

    def arm(home: Path, seconds: float) -> Due:
        due = time.monotonic() + share * seconds
        return lambda: time.monotonic() >= due

    return arm


def when_there(pattern: str) -> Killer:
    """Kill when something new turns up under this name: an instant that a share of the time would hardly meet."""

    def arm(home: Path, seconds: float) -> Due:
        before = set(home.glob(pattern))
        return lambda: bool(set(home.glob(pattern)) - before)

    return arm


# What the ledger's next run must look at: after a run that found the ledger already written there is nothing, and that is right.
OF_ONE_RUN = {
    f"intermediate.{name}"
    for name in ("int_events_reconsidered", "int_events_decided_again", "int_hours_dated", "int_batches_tested")
}


@dataclass(frozen=True)
class State:
    """All that a home holds: bytes where they are promised, rows of the warehouse, and the names of all files."""

    files: dict[str, str]
    rows: dict[str, list[tuple]]
    names: frozenset[str]

    def differences(self, other: "State") -> list[str]:
        """What is not the same, in words."""
        found = [
            f"{name} differs" for name in self.files | other.files if self.files.get(name) != other.files.get(name)
        ]
        found += [
            f"rows of {name} differ" for name in self.rows | other.rows if self.rows.get(name) != other.rows.get(name)
        ]
        found += [f"{name} is only in one" for name in sorted(self.names ^ other.names)]
        return found


def state_of(home: Path) -> State:
    """What stands in a home in which nothing runs."""
    files = {f"{part}/{name}": sha for part in IMMUTABLE for name, sha in fingerprints(home / part).items()}
    names = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    return State(
        files,
        warehouse_rows(home / "warehouse.duckdb"),
        frozenset(name for name in names if not name.startswith(NOTES)),
    )


def warehouse_rows(database: Path) -> dict[str, list[tuple]]:
    """Every table and view of the warehouse, with all its rows in one order."""
    if not database.exists():
        return {}
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        relations = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables order by all"
        ).fetchall()
        names = [name for (name,) in relations if name not in OF_ONE_RUN]
        return {name: sorted(connection.execute(f"from {name}").fetchall(), key=repr) for name in names}


@dataclass
class Tried:
    """What trials did. A loss is anything that is not as it would have been."""

    runs: int = 0
    kills: int = 0
    losses: list[str] = field(default_factory=list)


class Line:
    """The undisturbed twin of a history's commands, and trials against it."""

    def __init__(self, root: Path, seed: int = 21, events: int = 120, commands: int | None = None) -> None:
        """Runs the twin, up to the first so many commands."""
        self.root, self.home = root, root / "home"
        history = make_history(seed, Options(events=events, landings=2, closable=True))
        self.landings = history.write(root / "dumps")
        self.commands = self._commands()[:commands]
        self.seconds: list[float] = []
        self.states: list[State] = []
        self._prepare_inbox()
        for number, command in enumerate(self.commands):
            self._keep(number)
            started = time.monotonic()
            done = command.run(self.home)
            assert done.returncode == 0, done.stderr
            self.seconds.append(time.monotonic() - started)
            self.states.append(state_of(self.home))

    def _commands(self) -> list[Command]:
        first, second = (str(place.landed_at.isoformat()) for place in self.landings)
        closes = [(place.landed_at + timedelta(hours=1)).isoformat() for place in self.landings]
        return [
            Command("land", ("land", str(self.landings[0].paths), "--as-of", first)),
            Command("month-end", ("month-end", "2026-09", "--as-of", closes[0])),
            Command("nightly", ("nightly", "--as-of", second)),
            Command("build", ("build", "--full-refresh", "--as-of", second)),
            Command("month-end", ("month-end", "2026-10", "--as-of", closes[1])),
        ]

    def _prepare_inbox(self) -> None:
        shutil.copytree(self.landings[1].paths, self.home / "inbox")

    def _keep(self, number: int) -> None:
        shutil.copytree(self.home, self.root / f"before-{number}", copy_function=shutil.copy2)

    def restore(self, number: int) -> None:
        """The home as it stood before a command."""
        shutil.rmtree(self.home)
        shutil.copytree(self.root / f"before-{number}", self.home)

    def try_out(self, number: int, killers: list[Killer], tried: Tried) -> Tried:
        """From the state before a command: kill it as the killers say, one after the other, then run it to its end."""
        command = self.commands[number]
        self.restore(number)
        for killer in killers:
            due = killer(self.home, self.seconds[number])
            tried.runs += 1
            tried.kills += kill_when(command.start(self.home), due)
        done = command.run(self.home)
        tried.runs += 1
        if done.returncode:
            tried.losses.append(f"{command.name} does not recover: {done.stderr.strip()}")
        else:
            found = state_of(self.home).differences(self.states[number])
            tried.losses += [f"{command.name}, killed and run again: {difference}" for difference in found]
        return tried

    def random_killers(self, dice: random.Random, most: int = 3) -> list[Killer]:
        """One to three instants, anywhere in a command's time."""
        return [after_share(dice.uniform(0, 1)) for _ in range(dice.randint(1, most))]


def soak(seconds: float, seed: int, root: Path) -> Tried:
    """Random commands killed at random instants for so long."""
    dice, tried = random.Random(seed), Tried()
    deadline = time.monotonic() + seconds
    # the undisturbed twin takes minutes in itself: a short soak tries the first commands of a line only
    commands = next((commands for limit, commands in SHORT_SOAKS if seconds < limit), None)
    line = Line(root, seed=dice.choice(CLOSABLE), commands=commands)
    tried.runs += len(line.commands)
    while time.monotonic() < deadline:
        line.try_out(dice.randrange(len(line.commands)), line.random_killers(dice), tried)
    return tried

"""An undisturbed run through all stages, kept with the home as it stood before each: what trials are measured by.

All homes lie at the same path in their turn, so that nothing can differ by its name.
"""

import pickle
import random
import shutil
import signal
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.end_to_end.histories import Options, make_history
from tests.faults.crashes.kills import Kill
from tests.faults.crashes.stages import STAGES, Ended, Stages
from tests.faults.crashes.trials import CLOSABLE, State, Tried, state_of


@dataclass
class Chain:
    """`home` is where trials happen; `after` is the undisturbed home at the end, for reading (copy it to write)."""

    root: Path
    as_of: str
    states: dict[str, State] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def after(self) -> Path:
        return self.root / "after"

    def restore(self, stage: str) -> None:
        """The home as it stood before a stage."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.root / f"before-{stage}", self.home)

    def kills(self, stage: str) -> list[Kill]:
        """Every instant between two changes that the stage makes, in and behind the opening of a file."""
        changes = range(1, self.ended[stage].changes + 1)
        return [Kill(change=change, opened=opened) for change in changes for opened in (False, True)]

    def random_kill(self, stage: str, dice: random.Random) -> Kill:
        """Any instant: at a change, behind a model, or by the clock, which also meets what native code is at."""
        if dice.random() < 0.3:
            return Kill(seconds=dice.uniform(0, 5))
        if stage == "build":
            return Kill(node=dice.randint(1, self.ended[stage].nodes))
        return dice.choice(self.kills(stage))

    def try_out(self, stages: Stages, stage: str, kill: Kill, tried: Tried) -> Tried:
        """The stage is killed, then simply run: is all as the undisturbed run left it?"""
        self.restore(stage)
        killed = stages.run(stage, self.home, self.as_of, kill=kill)
        again = stages.run(stage, self.home, self.as_of)
        tried.runs += 2
        tried.kills += killed.status == -signal.SIGKILL
        found = [ended.error for ended in (killed, again) if ended.error]
        found += state_of(self.home).differences(self.states[stage])
        tried.losses += [f"{stage}, {kill}: {one}" for one in found]
        return tried


def make_chain(root: Path, stages: Stages, seed: int = 21, events: int = 120) -> Chain:
    """Runs a small closable history through all stages."""
    (place,) = make_history(seed, Options(events=events, landings=1, closable=True)).write(root / "dumps")
    chain = Chain(root, (place.landed_at + timedelta(hours=1)).isoformat())
    chain.home.mkdir(mode=0o750)
    shutil.copytree(place.paths, chain.home / "inbox")
    for stage in STAGES:
        shutil.copytree(chain.home, root / f"before-{stage}")
        chain.ended[stage] = stages.run(stage, chain.home, chain.as_of)
        assert chain.ended[stage].status == 0, chain.ended[stage].error
        chain.states[stage] = state_of(chain.home)
    shutil.copytree(chain.home, chain.after)
    (root / "chain").write_bytes(pickle.dumps(chain))
    return chain


def kept_chain(root: Path) -> Chain:
    """The chain that was made there."""
    return pickle.loads((root / "chain").read_bytes())


def soak(seconds: float, seed: int, root: Path) -> Tried:
    """Random stages killed at random instants for so long."""
    dice, tried, deadline = random.Random(seed), Tried(), time.monotonic() + seconds
    with Stages() as stages:
        chain = make_chain(root, stages, seed=dice.choice(CLOSABLE))
        tried.runs += len(STAGES)
        while time.monotonic() < deadline:
            stage = dice.choice(list(STAGES))
            chain.try_out(stages, stage, chain.random_kill(stage, dice), tried)
    return tried

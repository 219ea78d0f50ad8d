"""`make soak SECONDS=…`: killed stages and commands, random histories and bad input for so long, and what was tried.

Exits with 1 when anything was lost. A seed makes the choices, though not the instants of kills, repeatable.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestration import summary
from tests.faults.bad_input import fuzz
from tests.faults.crashes import chain, trials
from tests.properties import promises

Counts = dict[str, Any]


def stages(seconds: float, seed: int, root: Path) -> Counts:
    return asdict(chain.soak(seconds, seed, root))


def commands(seconds: float, seed: int, root: Path) -> Counts:
    return asdict(trials.soak(seconds, seed, root))


def histories(seconds: float, seed: int, root: Path) -> Counts:
    return asdict(promises.soak(seconds, seed, root))


def bad_input(seconds: float, seed: int, root: Path) -> Counts:
    return asdict(fuzz.soak(seconds, seed, root))


LOOPS: dict[str, Callable[[float, int, Path], Counts]] = {
    "stages": stages,
    "commands": commands,
    "histories": histories,
    "bad input": bad_input,
}


def soak(seconds: float, seed: int) -> dict[str, Counts]:
    """Each loop in turn, for an equal part of the time that is left; a loop ends what it has begun."""
    deadline, tried = time.monotonic() + seconds, {}
    for number, (name, loop) in enumerate(LOOPS.items()):
        share = (deadline - time.monotonic()) / (len(LOOPS) - number)
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            tried[name] = loop(max(share, 1), seed, Path(folder))
    return tried


def losses(tried: dict[str, Counts]) -> list[str]:
    """Everything that was lost, in words."""
    told = []
    for name, counts in tried.items():
        lost = counts.get("losses", [])
        told += [f"{name}: {loss}" for loss in (lost if isinstance(lost, list) else [f"{lost} lost"] if lost else [])]
    return told


def show(tried: dict[str, Counts], seconds: float, seed: int) -> None:
    """One table of what was tried."""
    summary.OUT.print(f"soaked for {seconds:.0f} s with seed {seed}")
    for name, counts in tried.items():
        told = {what: len(count) if isinstance(count, list) else count for what, count in counts.items()}
        summary.OUT.print(
            f"  {name:<10}" + "   ".join(f"{what} {count}" for what, count in told.items()), soft_wrap=True
        )
    lost = losses(tried)
    summary.OUT.print(f"  losses     {len(lost)}")
    for loss in lost:
        summary.ERR.print(f"LOST  {loss}", markup=False, soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.monotonic()
    tried = soak(arguments.seconds, arguments.seed)
    show(tried, time.monotonic() - started, arguments.seed)
    return 1 if losses(tried) else 0


if __name__ == "__main__":
    sys.exit(main())

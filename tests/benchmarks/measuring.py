"""Runs commands in processes of their own and measures them: wall time, and the peak memory of the whole tree of processes."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
EVERY = 0.03
PAGE = resource.getpagesize()


class Failed(Exception):
    """A measured command failed, or two contenders disagree: then there is nothing to compare."""


@dataclass(frozen=True)
class Run:
    """One run: wall time, the most memory that the process and its descendants held at one moment (resident), and what it printed."""

    seconds: float
    peak_bytes: int
    output: str
    failed: bool = False


@dataclass(frozen=True)
class Contender:
    """What is measured: a command, and what to do before each of its runs, which is not measured."""

    name: str
    command: list[str]
    prepare: Callable[[], object] = lambda: None


@dataclass
class Measured:
    """All runs of one contender."""

    runs: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak_bytes(self) -> int:
        return max(run.peak_bytes for run in self.runs)

    @property
    def output(self) -> str:
        return self.runs[-1].output


def module(name: str, *arguments: object) -> list[str]:
    """The command that runs a module of this folder."""
    return [sys.executable, "-m", f"tests.benchmarks.{name}", *map(str, arguments)]


def usage(home: Path, *arguments: object) -> list[str]:
    """The command `usage …` on a home."""
    program, *rest = map(str, arguments)
    return [str(Path(sys.executable).with_name("usage")), program, "--home", str(home), "--json", *rest]


def run(command: list[str], may_fail: bool = False) -> Run:
    """Run a command to its end. Raises Failed with the end of what it said where it fails."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=Path(__file__).parents[2])
        with _Watch(process.pid) as watch:
            code = process.wait()
            seconds = time.perf_counter() - started
        out.seek(0), err.seek(0)
        output, said = out.read(), err.read()
    if code and not may_fail:
        raise Failed(f"{' '.join(command)}: exit code {code}\n{output[-2000:]}\n{said[-2000:]}")
    return Run(seconds, watch.peak_bytes, output, bool(code))


def interleaved(contenders: list[Contender], runs: int, told: Callable[[str], object] = print) -> dict[str, Measured]:
    """Run all contenders in turn, A B C A B C …, so that what else the machine does falls on all of them."""
    measured = {contender.name: Measured() for contender in contenders}
    for number in range(1, runs + 1):
        for contender in contenders:
            contender.prepare()
            done = run(contender.command)
            measured[contender.name].runs.append(done)
            told(f"{contender.name}, run {number}: {done.seconds:.2f} s, {done.peak_bytes / 1e9:.2f} GB")
    return measured


def result(run: Run | Measured) -> dict:
    """What a command printed with --json."""
    return json.loads(run.output)


class _Watch:
    """Looks at a tree of processes every few hundredths of a second. Without /proc it only knows the largest child so far."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak_bytes = pid, 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if not PROC.is_dir():
            self.peak_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _maxrss_unit()

    def _look_on(self) -> None:
        while PROC.is_dir() and not self._end.wait(EVERY):
            tree = descendants(self.pid)
            # a single process may have peaked between two looks: the kernel remembers its own highest mark
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident, tree)), *map(_highest, tree), 0)


def _maxrss_unit() -> int:
    return 1 if sys.platform == "darwin" else 1024


def descendants(pid: int) -> list[int]:
    """A process and all that it started."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            try:
                # the name in parentheses may hold blanks; the parent is the second field behind it
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    tree = [pid]
    for member in tree:
        tree += parents.get(member, [])
    return tree


def _resident(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def _highest(pid: int) -> int:
    try:
        status = (PROC / str(pid) / "status").read_text()
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else 0


def environment() -> Mapping[str, object]:
    """What the figures depend on, for the record."""
    import duckdb

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processors": os.cpu_count(),
        "memory_bytes": memory,
        "duckdb": duckdb.__version__,
        "python": sys.version.split()[0],
    }

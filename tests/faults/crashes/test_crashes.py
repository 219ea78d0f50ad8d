"""Killed at any instant, or stopped by a full disk, and simply run again: the end state is that of an undisturbed run.

The instants here are few and chosen; `make soak` tries random ones for as long as one likes.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import duckdb
import pytest

from tests.faults.command import Command, file_size_limit
from tests.faults.crashes.trials import Line, Tried, after_share, state_of, when_there

LAND, MONTH_END, NIGHTLY = 0, 1, 2


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return Line(tmp_path_factory.mktemp("crashes"), commands=3)


def test_a_killed_landing(line: Line) -> None:
    instants = [after_share(share) for share in (0.5, 0.7, 0.8, 0.9)]
    tried = line.try_out(
        LAND, [*instants, when_there(".scratch/landing/*"), when_there("lake/usage_events/*/*")], Tried()
    )
    assert tried.losses == [] and tried.kills >= 3


def test_a_killed_month_end(line: Line) -> None:
    """In the middle of the first build; the period is final and the marts do not know yet; one audience has its file."""
    instants = [after_share(0.4), when_there("finalized/*/receipt.json"), when_there("published/finance.duckdb")]
    tried = line.try_out(MONTH_END, instants, Tried())
    assert tried.losses == [] and tried.kills == 3


def test_a_killed_night(line: Line) -> None:
    """The batch has landed; in the middle of the incremental models; gates of one of two periods are stored."""
    instants = [when_there("lake/batches/*"), after_share(0.4), when_there("gates/results/*.json")]
    tried = line.try_out(NIGHTLY, instants, Tried())
    assert tried.losses == [] and tried.kills == 3


def test_the_harness_sees_a_loss(line: Line) -> None:
    """A harness that cannot fail would prove nothing: a lost row, a changed byte and a leftover each show."""
    whole = state_of(line.home)
    assert whole.differences(state_of(line.home)) == []
    with duckdb.connect(str(line.home / "warehouse.duckdb")) as connection:
        connection.execute("delete from billing.invoice_lines where rowid = 0")
    manifest = next((line.home / "lake" / "batches").iterdir())
    manifest.write_bytes(manifest.read_bytes() + b" ")
    (line.home / "gates" / "results" / ".draft.1").touch()
    assert set(whole.differences(state_of(line.home))) >= {
        "rows of billing.invoice_lines differ",
        f"lake/batches/{manifest.name} differs",
        "gates/results/.draft.1 is only in one",
    }


@pytest.mark.parametrize(
    ("number", "limit"), [(LAND, 1_000), (LAND, 4_000), (MONTH_END, 100_000), (MONTH_END, 2_500_000)]
)
def test_a_full_disk_stops_in_one_line_and_nothing_is_half_done(line: Line, number: int, limit: int) -> None:
    """The larger limit of a month-end lets dbt's notes through, and ends in the warehouse or in a published file."""
    line.restore(number)
    names_before = state_of(line.home).names
    command = line.commands[number]
    stopped = command.run(line.home, preexec_fn=file_size_limit(limit))
    assert stopped.returncode == 1, stopped.stdout
    assert len(stopped.stderr.splitlines()) == 1 and "beyond the limit" in stopped.stderr, stopped.stderr
    if number == LAND:
        assert state_of(line.home).names - names_before <= {".lock"}
    assert not list(line.home.glob(".scratch/*/*"))
    done = command.run(line.home)
    assert done.returncode == 0, done.stderr
    assert state_of(line.home).differences(line.states[number]) == []


def test_a_second_run_waits_and_readers_go_on(line: Line) -> None:
    line.restore(NIGHTLY)
    first = Command("build", ("build",)).start(line.home)
    try:
        _wait_for(lambda: _is_locked(line.home / "warehouse.duckdb"))
        os.killpg(first.pid, signal.SIGSTOP)
        out = str(line.root / "out")
        exported = Command(
            "export", ("export", "--audience", "finance", "--period", "2026-09", "--format", "csv", "--out", out)
        ).run(line.home)
        assert exported.returncode == 0, exported.stderr
        status = Command("status", ("status",)).run(line.home)
        assert status.returncode == 1 and len(status.stderr.splitlines()) == 1
        assert "a run is writing" in status.stderr and f'"pid": {first.pid}, "command": "build"' in status.stderr
        second = Command("land", ("land",)).start(line.home)
        time.sleep(3)
        assert second.poll() is None, "it waits"
        os.killpg(first.pid, signal.SIGCONT)
        assert first.wait() == 0, first.stderr
        assert second.wait() == 0
        assert (line.home / "lake" / "batches" / "batch=2.json").exists()
    finally:
        _end(first)


def _is_locked(database: Path) -> bool:
    try:
        duckdb.connect(str(database), read_only=True).close()
    except duckdb.IOException as error:
        return "Conflicting lock" in str(error)
    return False


def _wait_for(what: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

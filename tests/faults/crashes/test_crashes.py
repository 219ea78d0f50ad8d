"""Killed at any instant, or stopped by a full disk, and simply run again: the end state is that of an undisturbed run.

The instants here are few; `make soak` tries all of them, and whole commands, for as long as one likes.
"""

import os
import re
import signal
import stat
import time
from pathlib import Path

import duckdb
import pytest

from tests.faults.command import Command, file_size_limit
from tests.faults.crashes.chain import Chain
from tests.faults.crashes.kills import Kill
from tests.faults.crashes.stages import PERIOD, Stages
from tests.faults.crashes.trials import Tried, state_of

# How many of a stage's instants are tried.
TRIED = {"land": 4, "gates": 2, "publish": 2, "close": 4}


def spread(instants: list[Kill], count: int) -> list[Kill]:
    """So many of them from first to last; an odd step, so that opened files and others come in turn."""
    step = max(1, len(instants) // count) | 1
    return instants[step // 2 :: step][:count]


@pytest.mark.parametrize(("stage", "count"), TRIED.items())
def test_killed_between_two_changes_of_the_home(chain: Chain, stages: Stages, stage: str, count: int) -> None:
    kills = spread(chain.kills(stage), count)
    assert len(kills) == count and {kill.opened for kill in kills} == {True, False}
    tried = Tried()
    for kill in kills:
        chain.try_out(stages, stage, kill, tried)
    assert (tried.kills, tried.losses) == (count, [])


def test_a_build_killed_again_and_again(chain: Chain, stages: Stages) -> None:
    """Early, where the clock falls into the work of the database, and late, with some marts old and some new."""
    chain.restore("build")
    late = chain.ended["build"].nodes - 20
    for kill in (Kill(seconds=1.5), Kill(node=late)):
        assert stages.run("build", chain.home, chain.as_of, kill=kill).status == -signal.SIGKILL
    assert stages.run("build", chain.home, chain.as_of).error == ""
    assert state_of(chain.home).differences(chain.states["build"]) == []


def test_the_harness_sees_a_loss(chain: Chain) -> None:
    """A harness that cannot fail would prove nothing: a lost row, a changed byte and a leftover each show."""
    chain.restore("close")
    whole = state_of(chain.home)
    assert whole.differences(chain.states["publish"]) == []
    with duckdb.connect(str(chain.home / "warehouse.duckdb")) as connection:
        connection.execute("delete from billing.invoice_lines where rowid = 0")
    manifest = next((chain.home / "lake" / "batches").iterdir())
    manifest.write_bytes(manifest.read_bytes() + b" ")
    (chain.home / "gates" / "results" / ".draft.1").touch()
    assert set(whole.differences(state_of(chain.home))) >= {
        "rows of billing.invoice_lines differ",
        f"lake/batches/{manifest.name} differs",
        "gates/results/.draft.1 is only in one",
    }


@pytest.mark.parametrize(("stage", "limit"), [("land", 4_000), ("build", 100_000), ("publish", 100_000)])
def test_a_full_disk_stops_in_one_line_and_nothing_is_half_done(
    chain: Chain, stages: Stages, stage: str, limit: int
) -> None:
    chain.restore(stage)
    before = state_of(chain.home)
    stopped = stages.run(stage, chain.home, chain.as_of, limit=limit)
    assert stopped.status == 1 and len(stopped.error.splitlines()) == 1
    assert "a file may not grow beyond the limit" in stopped.error, stopped.error
    if stage != "build":  # which brings one model after the other up to date
        assert state_of(chain.home).names - before.names <= {".lock"}
    assert not list(chain.home.glob(".scratch/*"))
    assert stages.run(stage, chain.home, chain.as_of).error == ""
    assert state_of(chain.home).differences(chain.states[stage]) == []


def test_the_command_line_tells_a_full_disk_in_one_line(chain: Chain, tmp_path: Path) -> None:
    command = Command("land", ("land", str(chain.after / "inbox")))
    stopped = command.run(tmp_path / "home", preexec_fn=file_size_limit(1_000))
    assert stopped.returncode == 1 and len(stopped.stderr.splitlines()) == 1, stopped.stderr
    assert "beyond the limit" in stopped.stderr
    assert {path.name for path in (tmp_path / "home").rglob("*") if path.is_file()} == {".lock"}


def test_a_key_is_made_whole_or_not_at_all(chain: Chain, stages: Stages) -> None:
    """Whatever the instant at which the first landing ever is killed."""
    known = set()
    chain.restore("land")
    for kill in spread(chain.kills("land")[:24], 8):
        stages.run("land", chain.home, chain.as_of, kill=kill, key=False)
        if (kept := chain.home / ".pii_key").exists():
            known.add(kept.read_text())
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stages.run("land", chain.home, chain.as_of, key=False).error == ""
    known.add(kept.read_text())
    assert len(known) == 1 and re.fullmatch("[0-9a-f]{64}", known.pop())


def test_a_second_run_waits_and_readers_go_on(chain: Chain, stages: Stages, tmp_path: Path) -> None:
    chain.restore("close")
    first = stages.start("build", chain.home, chain.as_of)
    try:
        _wait_for(lambda: _is_stopped_at_work(first, chain.home / "warehouse.duckdb"))
        out = ("--format", "csv", "--out", str(tmp_path / "out"))
        exported = Command("export", ("export", "--audience", "finance", "--period", PERIOD, *out)).run(chain.home)
        assert exported.returncode == 0, exported.stderr
        status = Command("status", ("status",)).run(chain.home)
        assert status.returncode == 1 and len(status.stderr.splitlines()) == 1
        assert "a run is writing" in status.stderr and f'"pid": {first}, "command": "build"' in status.stderr
        second = Command("land", ("land",)).start(chain.home)
        time.sleep(3)
        assert second.poll() is None, "it waits"
    finally:
        os.kill(first, signal.SIGKILL)  # which lets the lock go at once, however long the build would have taken
        ended = stages.end(first)
    assert ended.status == -signal.SIGKILL
    _, told = second.communicate()
    assert second.returncode == 0, told
    assert len(list((chain.home / "lake" / "batches").iterdir())) == 1, "what it waited for to land had landed"


def _is_stopped_at_work(process: int, database: Path) -> bool:
    """Stopped while it holds the database, which it lets go between two models."""
    os.kill(process, signal.SIGSTOP)
    if _is_locked(database):
        return True
    os.kill(process, signal.SIGCONT)
    return False


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

"""A file that kills, stalls or starves the parser is a rejected file; good files around it land; nothing is left running."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration import landing
from orchestration.landing import parsing
from orchestration.settings import FileLimits
from tests.faults.bad_input import corpus
from tests.faults.bad_input.test_corpus import LANDED_AT

SPOILT = "from tests.faults.bad_input.dying_parser import main; main()"
DEEDS = {
    "SEGV": "unreadable: the parser died with signal 11",
    "ABRT": "unreadable: the parser died with signal 6",
    "HANG": "unreadable: took longer than 3 s",
    "HOG!": "unreadable: needs more memory than 600MB",
    "EXIT": "unreadable: the parser ended with code 0",
    "BABB": "unreadable: ",
}
LAND = f"""
import sys
from pathlib import Path
from orchestration import landing
from orchestration.landing import parsing
from orchestration.settings import Settings
parsing.PROGRAM = {SPOILT!r}
landing.land(Settings(Path(sys.argv[1]), "1GB", 2), [Path(sys.argv[2])])
"""


@pytest.fixture
def spoilt(settings, monkeypatch):
    """Settings with small limits, and a parser that dies of certain words."""
    monkeypatch.setattr(parsing, "PROGRAM", SPOILT)
    return replace(settings, file_limits=FileLimits(memory_bytes=600_000_000, seconds=3))


def test_each_death_is_a_rejected_file_and_its_neighbours_land(spoilt, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for place, word in enumerate(DEEDS):
        (folder / f"{place}-bad.jsonl").write_text(word)
        (folder / f"{place}-good.jsonl").write_bytes(corpus.jsonl(100 * place))
    (folder / "skus.csv").write_text("SEGV\n")
    (folder / "units.csv").write_text("unit,base_unit,factor\nGB,byte,1000000000\n")
    result = landing.land(spoilt, [folder], LANDED_AT)
    reasons = [file.reason for file in result.files if file.file_name.endswith("bad.jsonl")]
    assert [given for given, due in zip(reasons, DEEDS.values(), strict=True) if not given.startswith(due)] == []
    good = [file for file in result.files if file.file_name.endswith("good.jsonl")]
    assert [(file.status, file.accepted) for file in good] == [("landed", corpus.EVENTS)] * len(DEEDS)
    skus, units = result.references
    assert (skus.status, skus.faults) == ("refused", ["unreadable: the parser died with signal 11"])
    assert units.status == "landed"
    assert landing.land(spoilt, [folder], LANDED_AT).batch_id is None


def test_a_good_file_is_not_blamed_for_the_one_before_it(settings, tmp_path, monkeypatch):
    """A process that a file has damaged dies of the next one: that is read once more by a new process."""
    monkeypatch.setattr(parsing, "PROGRAM", SPOILT_BY_COUNT)
    for name in ("a", "b", "c"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / f"in/{name}.jsonl").write_bytes(corpus.jsonl(100 * ord(name)))
    result = landing.land(settings, [tmp_path / "in"], LANDED_AT)
    assert [(file.status, file.accepted) for file in result.files] == [("landed", corpus.EVENTS)] * 3


SPOILT_BY_COUNT = """
import os, signal
from orchestration.landing import worker
from orchestration.landing.readers import jsonl
pieces, given = jsonl.pieces, []
def second_dies(*how):
    given.append(how)
    if len(given) == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    yield from pieces(*how)
jsonl.pieces = second_dies
worker.main()
"""


def children_of(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def wait_for(condition, seconds: float = 30):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("word", ["HANG", ""])
def test_a_killed_landing_leaves_no_parser_running(tmp_path, word):
    dump = tmp_path / "dump.jsonl"
    dump.write_bytes(word.encode() or corpus.jsonl(0, 1000) * 300)
    process = subprocess.Popen([sys.executable, "-c", LAND, str(tmp_path / "home"), str(dump)])
    [parser] = wait_for(lambda: children_of(process.pid))
    time.sleep(1.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not Path(f"/proc/{parser}").exists(), 10)


def test_the_parser_ends_with_the_landing(settings, tmp_path):
    (tmp_path / "dump.jsonl").write_bytes(corpus.jsonl())
    before = set(children_of(os.getpid()))  # other tests of this process may have left children of theirs
    landing.land(settings, [tmp_path / "dump.jsonl"], LANDED_AT)
    assert set(children_of(os.getpid())) <= before


def test_the_parser_does_without_pandas(settings, tmp_path, monkeypatch):
    """PyArrow imports it where it can: half as much again of what the process waits for before it is ready."""
    modules = tmp_path / "modules"
    program = f"import sys; from orchestration.landing import worker; worker.main(); open({str(modules)!r}, 'w').write(' '.join(sys.modules))"
    monkeypatch.setattr(parsing, "PROGRAM", program)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "events.jsonl").write_bytes(corpus.jsonl(0))
    (tmp_path / "in" / "units.csv").write_text("unit,base_unit,factor\nGB,byte,1000000000\n")
    result = landing.land(settings, [tmp_path / "in"], LANDED_AT)
    assert [file.accepted for file in result.files] == [corpus.EVENTS]
    loaded = modules.read_text().split()
    assert "pyarrow" in loaded and "pandas" not in loaded

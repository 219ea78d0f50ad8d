"""A home that may not be written to: writers say so in one line and leave it as it is, readers go on."""

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.house import fingerprints
from tests.faults.command import Command, without_privileges
from tests.faults.crashes.chain import Chain


@pytest.fixture(scope="module")
def read_only(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a closed period, of which its owner may change nothing."""
    home = tmp_path_factory.mktemp("read-only") / "home"
    shutil.copytree(chain.after, home)
    for path in [*home.rglob("*"), home]:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    yield home
    for path in [home, *home.rglob("*")]:
        path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR)


@pytest.mark.parametrize("arguments", [("land",), ("build",), ("nightly",), ("month-end", "2026-09")])
def test_writers_say_so_and_change_nothing(read_only: Path, arguments: tuple[str, ...]) -> None:
    before = fingerprints(read_only)
    refused = Command("write", arguments).run(read_only, preexec_fn=without_privileges)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1 and "no permission" in refused.stderr
    assert str(read_only) in refused.stderr
    assert fingerprints(read_only) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("verify", "--no-recompute"),
        ("export", "--audience", "finance", "--period", "2026-09", "--format", "focus", "--out", "OUT"),
    ],
)
def test_readers_go_on(read_only: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    before = fingerprints(read_only)
    given = tuple(str(tmp_path / "out") if argument == "OUT" else argument for argument in arguments)
    done = Command("read", given).run(read_only, preexec_fn=without_privileges)
    assert done.returncode == 0, done.stderr
    assert fingerprints(read_only) == before


def test_a_home_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    refused = Command("land", ("land",)).run(tmp_path / "closed" / "home", preexec_fn=without_privileges)
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
    assert "closed/home: no permission" in refused.stderr


def test_a_dump_that_may_not_be_read_waits_and_stops_no_other(tmp_path: Path) -> None:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for name in ("closed.jsonl", "open.jsonl"):
        (dumps / name).write_text(f'{{"event_id": "{name}"}}\n')
    (dumps / "closed.jsonl").chmod(0)
    landed = Command("land", ("land", str(dumps), "--json")).run(tmp_path / "home", preexec_fn=without_privileges)
    assert landed.returncode == 0, landed.stderr
    told = json.loads(landed.stdout)
    assert [file["file_name"] for file in told["files"]] == ["open.jsonl"]
    assert told["postponed"] == [{"file_name": "closed.jsonl", "reason": "cannot be read: Permission denied"}]

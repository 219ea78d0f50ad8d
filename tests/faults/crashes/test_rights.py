"""A home that may not be written to: writers say so in one line and leave it as it is, readers go on."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from tests.end_to_end.histories import Options, make_history
from tests.end_to_end.house import fingerprints
from tests.faults.command import Command, without_privileges


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a closed period, of which its owner may change nothing."""
    root = tmp_path_factory.mktemp("read-only")
    (place,) = make_history(21, Options(events=60, landings=1, closable=True)).write(root / "dumps")
    closed_at = (place.landed_at + timedelta(hours=1)).isoformat()
    for arguments in (
        ("land", str(place.paths), "--as-of", place.landed_at.isoformat()),
        ("month-end", "2026-09", "--as-of", closed_at),
    ):
        done = Command("prepare", arguments).run(root / "home")
        assert done.returncode == 0, done.stderr
    for path in [*(root / "home").rglob("*"), root / "home"]:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    yield root / "home"
    for path in [root / "home", *(root / "home").rglob("*")]:
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


def test_a_dump_that_may_not_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    dump = tmp_path / "dumps" / "secret.jsonl"
    dump.parent.mkdir()
    dump.write_text("{}\n")
    dump.chmod(0)
    refused = Command("land", ("land", str(dump.parent))).run(tmp_path / "home", preexec_fn=without_privileges)
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
    assert "no permission" in refused.stderr and "secret.jsonl" in refused.stderr
    assert not list((tmp_path / "home" / "lake").glob("*/*"))

"""The `usage` command as an operator meets it: exit codes, one line on stderr, one JSON object, who holds the lock."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.locking import writing
from orchestration.settings import Settings
from tests.end_to_end.histories import Options, make_history

USAGE = [sys.executable, "-c", "from orchestration.cli import main; main()"]


def usage(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command, *rest = arguments
    return subprocess.run([*USAGE, command, "--home", str(home), *rest], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the dumps of one closable month in `landing-1`, and a home in which they have landed."""
    folder = tmp_path_factory.mktemp("command-line")
    (first,) = make_history(3, Options(events=120, landings=1, closable=True)).write(folder)
    landed = usage(folder / "home", "land", str(first.paths), "--as-of", first.landed_at.isoformat(), "--json")
    assert landed.returncode == 0, landed.stderr
    result = json.loads(landed.stdout)
    assert result["records"] == result["accepted"] + result["rejected"] > 100
    return folder


def test_landing_twice_is_a_no_op(place: Path) -> None:
    again = usage(place / "home", "land", str(place / "landing-1"), "--json")
    assert (again.returncode, json.loads(again.stdout)["batch_id"]) == (0, None)


def test_the_line_from_build_to_export_and_a_tampered_receipt(place: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(place / "home", home)
    closed = usage(home, "month-end", "2026-09", "--as-of", "2026-12-06T00:00:00Z")
    assert closed.returncode == 0, closed.stderr
    assert "2026-09 is final" in closed.stdout
    status = json.loads(usage(home, "status", "--json").stdout)
    assert {row["billing_period"]: row["status"] for row in status["periods"]}["2026-09"] == "final"
    exported = usage(
        home,
        "export",
        "--audience",
        "finance",
        "--period",
        "2026-09",
        "--format",
        "csv",
        "--out",
        str(tmp_path / "out"),
    )
    assert exported.returncode == 0 and (tmp_path / "out").is_dir(), exported.stderr
    assert usage(home, "verify", "2026-09").returncode == 0
    receipt = home / "finalized" / "period=2026-09" / "receipt.json"
    receipt.chmod(0o644)
    receipt.write_text(receipt.read_text().replace("2026-12-06", "2026-12-07"))
    tampered = usage(home, "verify", "2026-09", "--no-recompute")
    assert tampered.returncode == 4 and "receipt.json" in tampered.stdout
    assert "verification failed" in tampered.stderr and len(tampered.stderr.splitlines()) == 1


def test_a_blocked_close_exits_3_and_says_why_in_one_line(place: Path) -> None:
    blocked = usage(place / "home", "month-end", "2026-09", "--as-of", "2026-10-01T00:00:00Z")
    assert blocked.returncode == 3
    assert "lateness window" in blocked.stderr and len(blocked.stderr.splitlines()) == 1
    status = json.loads(usage(place / "home", "status", "--json").stdout)
    assert "final" not in {row["status"] for row in status["periods"]}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (["month-end", "2026-13"], 2, "not a billing period"),
        (["nightly", "--as-of", "yesterday"], 2, "not an ISO 8601 time"),
        (["land", "no/such/folder"], 1, "no such file or folder"),
        (["status"], 1, "run `usage build` first"),
        (["build"], 1, "run `usage land` first"),
        (["explain", "line-nope"], 1, "run `usage build` first"),
    ],
)
def test_failures_say_what_to_do(tmp_path: Path, arguments: list[str], exit_code: int, says: str) -> None:
    failed = usage(tmp_path / "home", *arguments)
    assert failed.returncode == exit_code
    assert says in failed.stderr and "Traceback" not in failed.stderr


def test_a_broken_reference_file_is_refused_with_every_fault_and_exit_1(place: Path, tmp_path: Path) -> None:
    broken = tmp_path / "accounts.csv"
    broken.write_text("account_id,account_name,billing_timezone,currency_code\na1,A,Mars/Olympus,USD\na1,B,UTC,XYZ\n")
    refused = usage(tmp_path / "home", "land", str(broken))
    assert refused.returncode == 1
    assert all(fault in refused.stdout and fault in refused.stderr for fault in ("Mars/Olympus", "XYZ", "a1"))


def test_a_second_writer_is_told_who_holds_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Settings(tmp_path / "home", "1GB", 1)
    with writing(home, "nightly"):
        probe = (
            "from pathlib import Path\nfrom orchestration.locking import writing\nfrom orchestration.settings import Settings\n"
            f"with writing(Settings(Path({str(home.home)!r}), '1GB', 1), 'land', wait_seconds=0.3): pass"
        )
        second = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert (
        second.returncode == 1 and "another run is writing" in second.stderr and '"command": "nightly"' in second.stderr
    )

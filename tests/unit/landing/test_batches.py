"""Idempotent by content, atomic per batch, safe to kill at any instant, the same bytes every time."""

import errno
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestration import landing
from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings
from tests.unit.landing.conftest import LANDED_AT, event

LAND = """
import sys
from pathlib import Path
from orchestration import landing
from orchestration.settings import Settings, parse_instant
landing.land(Settings(Path(sys.argv[1]), "1GB", 2), [Path(sys.argv[2])], parse_instant("2026-10-01T02:00:00Z"))
"""


def write_dump(path: Path, events: int, start: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(event(event_id=f"e{n}", quantity="x" if n % 97 == 0 else n)) for n in range(start, start + events)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def lake_bytes(home: Path) -> dict[str, str]:
    """Every file of the lake with its hash."""
    files = sorted(path for path in (home / "lake").rglob("*") if path.is_file())
    return {path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_landing_twice_is_a_no_op_under_any_name(land, tmp_path):
    dump = write_dump(tmp_path / "a/one.jsonl", 10)
    assert land(dump).result.batch_id == 1
    again = land(dump.rename(tmp_path / "a/two.jsonl"))
    assert (again.result.batch_id, again.result.files) == (None, [])
    assert [(known.file_name, known.batch_id) for known in again.result.already_landed] == [("two.jsonl", 1)]
    assert not list((tmp_path / "home/lake/batches").glob("batch=2*"))


def test_the_same_content_twice_in_one_landing_lands_once(land, tmp_path):
    write_dump(tmp_path / "in/b.jsonl", 10)
    write_dump(tmp_path / "in/a.jsonl", 10)
    landed = land(tmp_path / "in")
    assert [file.file_name for file in landed.result.files] == ["a.jsonl"]
    assert [known.file_name for known in landed.result.already_landed] == ["b.jsonl"]


def test_nothing_new_makes_no_batch(land, settings, tmp_path):
    (tmp_path / "empty").mkdir()
    assert land(tmp_path / "empty").result.as_dict()["batch_id"] is None
    assert landing.land(settings).batch_id is None
    assert landing.manifests(settings) == []


def test_the_inbox_is_the_default_and_names_are_relative(settings):
    write_dump(settings.inbox / "events/gateway/day.jsonl", 3)
    (settings.inbox / "reference").mkdir()
    (settings.inbox / "reference/units.csv").write_text("unit,base_unit,factor\nGB,byte,1000000000\n")
    result = landing.land(settings, as_of=LANDED_AT)
    assert [file.file_name for file in result.files] == ["events/gateway/day.jsonl"]
    assert [reference.file_name for reference in result.references] == ["reference/units.csv"]


def test_the_manifest_says_what_stands_in_the_lake(land, settings, tmp_path):
    write_dump(tmp_path / "in/a.jsonl", 200)
    write_dump(tmp_path / "in/b.csv", 0).write_text("event_id\n")
    (tmp_path / "in/units.csv").write_text("unit,base_unit,factor\nGB,byte,1000000000\n")
    (tmp_path / "in/skus.csv").write_text("sku,billable\nx,perhaps\n")
    result = land(tmp_path / "in").result
    path = settings.lake / "batches/batch=1.json"
    [manifest] = landing.manifests(settings)
    assert path.read_text() == json.dumps(manifest, sort_keys=True, indent=1) + "\n"
    assert manifest["landed_at"] == "2026-10-01T02:00:00.000000Z"
    assert {(entry["path"], entry["rows"]) for entry in manifest["lake_files"]} == {
        ("lake/usage_events/landed_date=2026-10-01/batch=1/part-00000.parquet", 197),
        ("lake/rejected_events/landed_date=2026-10-01/batch=1/part-00000.parquet", 3),
        ("lake/reference/units/version=1/part-00000.parquet", 1),
    }
    on_disk = lake_bytes(settings.home)
    on_disk.pop("lake/batches/batch=1.json")
    assert {entry["path"]: entry["sha256"] for entry in manifest["lake_files"]} == on_disk
    assert [file["file_name"] for file in manifest["files"]] == ["a.jsonl", "b.csv"]
    assert manifest["files"][0]["first_event_ts"] == "2026-09-15T10:00:00.000000Z"
    assert manifest["files"][1]["first_event_ts"] is None
    assert {entry["table"]: entry["status"] for entry in manifest["references"]} == {
        "units": "landed",
        "skus": "refused",
    }
    assert result.as_dict()["records"] == result.accepted + result.rejected == 200
    json.dumps(result.as_dict())


def test_the_same_input_gives_the_same_bytes_whatever_the_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
    write_dump(tmp_path / "in/a.jsonl", 60_000)
    write_dump(tmp_path / "in/b.jsonl", 50, start=60_000)
    for threads in (1, 3):
        landing.land(Settings(tmp_path / f"home{threads}", "1GB", threads), [tmp_path / "in"], LANDED_AT)
    assert lake_bytes(tmp_path / "home1") == lake_bytes(tmp_path / "home3")


def test_killed_at_any_instant_the_next_landing_completes_the_work(tmp_path, monkeypatch):
    monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
    write_dump(tmp_path / "in/a.jsonl", 120_000)
    write_dump(tmp_path / "in/deep/b.jsonl", 1000, start=500_000)
    (tmp_path / "in/units.csv").write_text("unit,base_unit,factor\nGB,byte,1000000000\n")
    started = time.monotonic()
    run_landing(tmp_path / "undisturbed", tmp_path / "in").wait()
    duration = time.monotonic() - started
    expected = lake_bytes(tmp_path / "undisturbed")
    assert len(expected) == 4
    chance = random.Random(7)
    home = tmp_path / "home"
    for share in (0.2, 0.5, 0.7, 0.85, 0.95, 1.0):
        process = run_landing(home, tmp_path / "in")
        time.sleep(duration * share * chance.uniform(0.9, 1.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        # whole or not at all, as a reader of manifests sees it
        for manifest in landing.manifests(Settings(home, "1GB", 2)):
            assert {entry["path"] for entry in manifest["lake_files"]} < lake_bytes(home).keys()
    assert run_landing(home, tmp_path / "in").wait() == 0
    assert lake_bytes(home) == expected


def run_landing(home: Path, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", LAND, str(home), str(folder)])


@pytest.mark.parametrize("moved", ["nothing", "events", "events and rejects", "all but the manifest"])
def test_each_step_of_a_commit_can_be_the_last(land, settings, tmp_path, moved):
    write_dump(tmp_path / "in/a.jsonl", 200)
    (tmp_path / "in/units.csv").write_text("unit,base_unit,factor\nGB,byte,1000000000\n")
    land(tmp_path / "in")
    expected = lake_bytes(settings.home)
    (settings.lake / "batches/batch=1.json").unlink()
    if moved != "all but the manifest":
        shutil.rmtree(settings.lake / "reference")
    if moved in ("nothing", "events"):
        shutil.rmtree(settings.lake / "rejected_events")
    if moved == "nothing":
        shutil.rmtree(settings.lake / "usage_events")
    (settings.scratch / "landing/usage_events").mkdir(parents=True, exist_ok=True)
    land(tmp_path / "in")
    assert lake_bytes(settings.home) == expected


def test_recover_names_what_it_removes_and_leaves_batches_alone(land, settings, tmp_path):
    land(write_dump(tmp_path / "a.jsonl", 5))
    before = lake_bytes(settings.home)
    leftover = settings.lake / "usage_events/landed_date=2026-10-02/batch=2"
    leftover.mkdir(parents=True)
    (leftover / "part-00000.parquet").write_bytes(b"half")
    assert landing.recover(settings) == ["lake/usage_events/landed_date=2026-10-02/batch=2"]
    assert landing.recover(settings) == []
    assert lake_bytes(settings.home) == before


def test_a_lost_manifest_stops_the_landing_and_removes_nothing(land, settings, tmp_path):
    for number in (1, 2, 3):
        land(write_dump(tmp_path / f"{number}.jsonl", 5, start=10 * number))
    (settings.lake / "batches/batch=1.json").unlink()
    before = lake_bytes(settings.home)
    with pytest.raises(UsageWarehouseError, match="batch=1 belongs to no batch manifest"):
        land(write_dump(tmp_path / "4.jsonl", 5, start=100))
    assert lake_bytes(settings.home) == before


def test_a_file_that_changes_while_it_is_read_waits_for_the_next_landing(settings, tmp_path):
    dump = write_dump(tmp_path / "in/a.jsonl", 20)
    write_dump(tmp_path / "in/b.jsonl", 7, start=100)

    def still_writing(file_name: str, records: int) -> None:
        if file_name == "a.jsonl":
            with dump.open("a") as file:
                file.write("{}\n")

    result = landing.land(settings, [tmp_path / "in"], LANDED_AT, on_progress=still_writing)
    assert [(file.file_order, file.file_name, file.records) for file in result.files] == [(1, "b.jsonl", 7)]
    [waiting] = result.postponed
    assert (waiting.file_name, "changed while it was" in waiting.reason) == ("a.jsonl", True)
    assert landing.land(settings, [tmp_path / "in"], LANDED_AT).records == 21


def test_a_file_that_is_taken_away_while_it_is_read_lands_as_it_was(settings, tmp_path):
    dump = write_dump(tmp_path / "a.jsonl", 60_000)
    result = landing.land(settings, [dump], LANDED_AT, on_progress=lambda name, records: dump.unlink(missing_ok=True))
    assert (result.postponed, result.records) == ([], 60_000)


def test_progress_is_told_by_file(settings, tmp_path):
    heard = []
    landing.land(
        settings, [write_dump(tmp_path / "a.jsonl", 20)], LANDED_AT, lambda name, records: heard.append((name, records))
    )
    assert heard[-1] == ("a.jsonl", 20)


def test_a_part_that_cannot_be_written_fails_the_landing(land_lines, settings, monkeypatch):
    """Pieces are written behind the reader's back: what goes wrong there must not be lost."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("orchestration.landing.lake.PartWriter.add", full)
        with pytest.raises(OSError, match="No space left"):
            land_lines(event())
    assert landing.manifests(settings) == []
    assert land_lines(event()).result.accepted == 1

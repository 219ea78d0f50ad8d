"""What lies in a given folder besides dumps, and what files are called: nothing leads out of the folder, and what the
house makes is closed to others."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration import landing
from orchestration.cli import main
from orchestration.landing import find
from tests.faults.bad_input import corpus
from tests.faults.bad_input.test_corpus import LANDED_AT

NAMES = [
    "it's.jsonl",
    'say "x".jsonl',
    "two\nlines.jsonl",
    "a..b.jsonl",
    "[red] [bold.jsonl",
    "'; drop table metrics; --.jsonl",
    "$(reboot) `x` %s {0}.jsonl",
    "événement-事件-حدث-🎉.jsonl",
    " .jsonl",
    "-rf.jsonl",
    os.fsdecode(b"latin-\xe9.jsonl"),
]


def test_any_name_is_a_name(settings, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for place, name in enumerate(NAMES):
        (folder / name).write_bytes(corpus.jsonl(100 * place, 3))
    result = CliRunner().invoke(main, ["land", "--home", str(settings.home), str(folder)])
    assert result.exit_code == 0, result.output
    [manifest] = landing.manifests(settings)
    recorded = {file["file_name"]: file["accepted"] for file in manifest["files"]}
    assert recorded == dict.fromkeys([*NAMES[:-1], "latin-\\xe9.jsonl"], 3)
    (settings.lake / "batches/batch=1.json").read_text().encode()  # what reads it needs no half characters
    assert {path.name for path in tmp_path.iterdir()} == {"in", "home"}


def test_what_is_no_file_is_left_alone_and_links_are_not_followed(settings, tmp_path):
    folder, outside = tmp_path / "in", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret.jsonl").write_bytes(corpus.jsonl(500))
    (folder / "good.jsonl").write_bytes(corpus.jsonl())
    (folder / "link.jsonl").symlink_to(outside / "secret.jsonl")
    (folder / "linked").symlink_to(outside)
    (folder / "dangling.jsonl").symlink_to(outside / "nothing")
    (folder / "loop.jsonl").symlink_to(folder / "loop.jsonl")
    (folder / "null.jsonl").symlink_to("/dev/null")
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "folder.jsonl").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.jsonl"))
        result = landing.land(settings, [folder], LANDED_AT)
    assert [(file.file_name, file.accepted) for file in result.files] == [("good.jsonl", corpus.EVENTS)]
    assert {left.file_name: left.reason for left in result.ignored} == {
        **dict.fromkeys(
            ["link.jsonl", "linked", "dangling.jsonl", "loop.jsonl", "null.jsonl"],
            "a symbolic link, which is not followed",
        ),
        "pipe.jsonl": "no regular file",
        "socket.jsonl": "no regular file",
    }
    assert result.postponed == []


@pytest.mark.parametrize("becomes", ["nothing", "a pipe", "a link", "another file"])
def test_a_file_that_is_not_there_any_more_when_it_is_read_waits(settings, tmp_path, monkeypatch, becomes):
    folder = tmp_path / "in"
    folder.mkdir()
    fleeting = folder / "a.jsonl"
    fleeting.write_bytes(corpus.jsonl(500))
    (folder / "b.jsonl").write_bytes(corpus.jsonl())
    (tmp_path / "secret.jsonl").write_bytes(corpus.jsonl(900))
    found = find._dump

    def then_it_changes(path: Path, *what):
        dump = found(path, *what)
        if path.name == "a.jsonl":
            path.unlink()
            if becomes == "a pipe":
                os.mkfifo(path)
            elif becomes == "a link":
                path.symlink_to(tmp_path / "secret.jsonl")
            elif becomes == "another file":
                path.write_bytes(corpus.jsonl(700))
        return dump

    monkeypatch.setattr(find, "_dump", then_it_changes)
    result = landing.land(settings, [folder], LANDED_AT)
    assert [(file.file_name, file.accepted) for file in result.files] == [("b.jsonl", corpus.EVENTS)]
    assert [left.file_name for left in result.postponed] == ["a.jsonl"]


def test_a_file_and_a_folder_that_may_not_be_read_wait(settings, tmp_path, monkeypatch):
    """As the machine answers to anybody but root."""
    folder = tmp_path / "in"
    (folder / "closed").mkdir(parents=True)
    (folder / "closed.jsonl").write_bytes(corpus.jsonl(500))
    (folder / "good.jsonl").write_bytes(corpus.jsonl())
    really_open, really_scan = os.open, os.scandir

    def refuse(function, path, *more, **named):
        if not isinstance(path, int) and Path(os.fsdecode(path)).name.startswith("closed"):
            raise PermissionError(13, "Permission denied", os.fsdecode(path))
        return function(path, *more, **named)

    monkeypatch.setattr(os, "open", lambda path, *more, **named: refuse(really_open, path, *more, **named))
    monkeypatch.setattr(os, "scandir", lambda path: refuse(really_scan, path))
    result = landing.land(settings, [folder], LANDED_AT)
    assert [file.file_name for file in result.files] == ["good.jsonl"]
    assert [(left.file_name, left.reason) for left in result.postponed] == [
        ("closed.jsonl", "cannot be read: Permission denied"),
        ("closed", "cannot be read: Permission denied"),
    ]


def test_the_home_is_closed_to_others(settings, tmp_path, monkeypatch):
    monkeypatch.delenv("USAGE_PII_KEY")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(corpus.jsonl() + b"{}\n")
    (folder / "units.csv").write_text("unit,base_unit,factor\nGB,byte,1\n")
    before = os.umask(0o000)
    try:
        result = CliRunner().invoke(main, ["land", "--json", "--home", str(settings.home), str(folder)])
        assert os.umask(0o000) == 0o000  # as it was
    finally:
        os.umask(before)
    assert json.loads(result.output)["accepted"] == corpus.EVENTS
    made = [settings.home, *settings.home.rglob("*")]
    assert len(made) > 10
    open_to_others = [path for path in made if stat.S_IMODE(path.stat().st_mode) & (0o027 if path.is_dir() else 0o137)]
    assert open_to_others == []
    assert stat.S_IMODE((settings.home / ".pii_key").stat().st_mode) == 0o600


def test_a_home_inside_the_given_folder_is_no_dump(tmp_path, settings):
    (tmp_path / "a.jsonl").write_bytes(corpus.jsonl())
    assert landing.land(settings, [tmp_path], LANDED_AT).accepted == corpus.EVENTS
    again = landing.land(settings, [tmp_path], LANDED_AT)
    assert (again.batch_id, again.files) == (None, [])

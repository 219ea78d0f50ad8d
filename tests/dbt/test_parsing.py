"""dbt's parse is most of a small run's start: a home that was moved, and one that begins with another's, do not pay it again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration import warehouse
from orchestration.settings import Settings
from orchestration.warehouse import builds


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each parse whether dbt could go on from what it had parsed before."""
    from dbt.parser.manifest import ManifestLoader

    found: list[bool] = []
    plain = ManifestLoader.is_partial_parsable

    def spied(*arguments: Any) -> tuple[bool, Any]:
        answer = plain(*arguments)
        found.append(answer[0])
        return answer

    monkeypatch.setattr(ManifestLoader, "is_partial_parsable", spied)
    return found


def parsed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Parse as a new process would; whether there is something that dbt can go on from next time."""
    monkeypatch.setattr(builds, "_parsed", {})
    return warehouse.manifest_path(settings).with_name(builds.PARSED).is_file()


def test_one_parse_serves_every_home(tmp_path: Path, parses: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    first = Settings(tmp_path / "first", "1GB", 2)
    moved, new = (replace(first, home=tmp_path / name, memory_limit="2GB") for name in ("moved", "new"))
    assert parsed(first, monkeypatch) and parses == []
    first.home.rename(moved.home)
    assert parsed(moved, monkeypatch) and parses == [True]
    warehouse.take_over_parse(moved, new)
    assert parsed(new, monkeypatch) and parses == [True, True]


def test_what_was_left_half_written_is_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torn, new, unparsed = (Settings(tmp_path / name, "1GB", 2) for name in ("torn", "new", "unparsed"))
    warehouse.take_over_parse(unparsed, new)
    (torn.home / ".dbt" / "target").mkdir(parents=True)
    (torn.home / ".dbt" / "target" / builds.PARSED).write_bytes(b"\x82\xa5torn")
    warehouse.take_over_parse(torn, new)
    assert parsed(new, monkeypatch)

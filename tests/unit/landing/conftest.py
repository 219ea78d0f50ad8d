"""What the landing tests share: a home of their own, and one call from records to what stands in the lake."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from orchestration import landing
from orchestration.settings import Settings, parse_instant

LANDED_AT = parse_instant("2026-10-01T02:00:00Z")
EVENT = {
    "event_id": "evt-1",
    "producer": "api-gateway",
    "event_ts": "2026-09-15T10:00:00Z",
    "metric": "api_requests",
    "quantity": 1,
    "unit": "request",
}
ABSENT = object()


def event(**changes: Any) -> dict[str, Any]:
    """A sound event with some fields changed; ABSENT leaves one out."""
    return {name: value for name, value in (EVENT | changes).items() if value is not ABSENT}


@dataclass
class Landed:
    """A landing's result and what stands in the lake."""

    result: landing.LandingResult
    home: Path

    @property
    def accepted(self) -> list[dict[str, Any]]:
        return self._rows("usage_events")

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return self._rows("rejected_events")

    def _rows(self, kind: str) -> list[dict[str, Any]]:
        parts = sorted((self.home / "lake" / kind).glob(f"*/batch={self.result.batch_id}/*.parquet"))
        return [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
    return Settings(home=tmp_path / "home", memory_limit="1GB", threads=2)


@pytest.fixture
def land(settings: Settings):
    """Lands paths into the test's home."""

    def call(*paths: Path, as_of=LANDED_AT) -> Landed:
        return Landed(landing.land(settings, list(paths), as_of), settings.home)

    return call


@pytest.fixture
def land_lines(land, tmp_path: Path):
    """Lands lines of a JSONL dump: bytes, text, or objects."""

    def call(*lines: bytes | str | dict[str, Any], as_of=LANDED_AT) -> Landed:
        dump = tmp_path / "dump.jsonl"
        dump.write_bytes(b"".join(as_line(line) + b"\n" for line in lines))
        return land(dump, as_of=as_of)

    return call


def as_line(line: bytes | str | dict[str, Any]) -> bytes:
    if isinstance(line, dict):
        line = json.dumps(line)
    return line.encode() if isinstance(line, str) else line

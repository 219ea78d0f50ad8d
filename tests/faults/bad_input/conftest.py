"""A home of one's own with a fixed key, and small limits of time and memory where a test needs them."""

from pathlib import Path

import pytest

from orchestration.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
    return Settings(home=tmp_path / "home", memory_limit="1GB", threads=2)

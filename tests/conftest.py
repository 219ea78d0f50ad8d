"""Fixtures of all tests: a home of one's own, and the samples' home, replayed once and then only read."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from orchestration import gates
from orchestration.settings import Settings, load_settings, parse_instant


@pytest.fixture(autouse=True, scope="session")
def gates_at_hand() -> Iterator[None]:
    """Runs have their gates in this process: one of their own for each run would import Great Expectations again, for seconds.

    That a process of its own answers the same is tested with the gates; the command line has it.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(gates, "gates_aside", lambda: nullcontext(gates.run_gates))
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of an empty home, with a fixed key for pseudonyms."""
    monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
    return load_settings(tmp_path / "home")


@pytest.fixture(scope="session")
def samples_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The home after all steps of raw_samples/replay.py. Read only: tests that write make a home of their own."""
    from raw_samples.replay import STEPS

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
        settings = load_settings(tmp_path_factory.mktemp("samples") / "home")
        for _, step, now in STEPS:
            step(settings, parse_instant(now))
        yield settings

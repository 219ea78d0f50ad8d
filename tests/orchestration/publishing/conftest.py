"""A home with September closed and October open, of which everything has been published."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "closing"))

from small_home import CLOSED_AT, SEPTEMBER, build_home, build_warehouse, land_batch, passing

from orchestration.closing import finalize
from orchestration.publishing import publish
from tests.end_to_end.house import copied


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Shared: tests only read it."""
    settings = build_home(tmp_path_factory.mktemp("published") / "home")
    finalize(settings, SEPTEMBER, CLOSED_AT, decide=passing(2))
    land_batch(settings, 3)
    build_warehouse(settings, 3)
    publish(settings)
    return settings


@pytest.fixture
def home(published, tmp_path):
    """A copy, for tests that change something."""
    return copied(published, tmp_path / "home")

"""Homes for the tests of closing: one with September open, one with both months closed (made once, copied per test)."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_home import CLOSED_AT, OCTOBER, SEPTEMBER, build_home, build_warehouse, land_batch, passing

from orchestration.closing import finalize
from tests.end_to_end.house import copied


@pytest.fixture(scope="session")
def open_original(tmp_path_factory):
    return build_home(tmp_path_factory.mktemp("open") / "home")


@pytest.fixture(scope="session")
def closed_original(tmp_path_factory):
    settings = build_home(tmp_path_factory.mktemp("closed") / "home")
    finalize(settings, SEPTEMBER, CLOSED_AT, decide=passing(2))
    land_batch(settings, 3)
    build_warehouse(settings, 3)
    finalize(settings, OCTOBER, CLOSED_AT, decide=passing(3))
    build_warehouse(settings, 3)
    return settings


@pytest.fixture
def open_home(open_original, tmp_path):
    """Batches 1 and 2 landed and built, nothing closed."""
    return copied(open_original, tmp_path / "home")


@pytest.fixture
def closed_home(closed_original, tmp_path):
    """September closed on batch 2, October on batch 3."""
    return copied(closed_original, tmp_path / "home")


@pytest.fixture(autouse=True)
def marts_instead_of_a_rebuild(monkeypatch):
    """These homes have a made-up lake that dbt cannot build from: a period is compared with the marts as they stand."""
    from contextlib import nullcontext

    monkeypatch.setattr(
        "orchestration.closing.recomputing.rebuilt_from_lake", lambda settings, receipt: nullcontext(settings.warehouse)
    )

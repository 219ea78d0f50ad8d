"""Fixtures of the gates' tests: a home with the sample warehouse, good or changed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from gates_warehouse import make_warehouse

from orchestration.settings import Settings


@pytest.fixture(scope="session")
def good_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, made once."""
    path = tmp_path_factory.mktemp("gates") / "warehouse.duckdb"
    make_warehouse(path)
    return path


@pytest.fixture
def make_home(tmp_path: Path, good_warehouse: Path) -> Callable[..., Settings]:
    """A function that makes a home whose warehouse is the sample, changed by the SQL that it is given."""

    def make(change: str = "", name: str = "home") -> Settings:
        settings = Settings(home=tmp_path / name, memory_limit="512MB", threads=1)
        settings.home.mkdir()
        shutil.copy(good_warehouse, settings.warehouse)
        if change:
            with duckdb.connect(str(settings.warehouse)) as connection:
                connection.execute(change)
        return settings

    return make

"""One undisturbed home for all faults, made once however many processes the tests run in."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.crashes.chain import Chain, kept_chain, make_chain
from tests.faults.crashes.stages import Stages


@pytest.fixture(scope="session")
def stages() -> Iterator[Stages]:
    """The process that forks stages; it takes some seconds to start."""
    with Stages() as stages:
        yield stages


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Chain:
    """A small history that went through all stages up to a close. Only tests of one module may write to its `home`."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = shared / "chain"
    with Path(shared, "chain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "chain").exists():
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            make_chain(root, request.getfixturevalue("stages"))
    return kept_chain(root)

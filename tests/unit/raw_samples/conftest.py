"""The samples, generated once per test session, and the folder of the committed ones."""

from pathlib import Path

import pytest

from raw_samples.generator import samples

COMMITTED = Path(__file__).resolve().parents[3] / "raw_samples"


@pytest.fixture(scope="session")
def made() -> dict[str, bytes]:
    """Every file of the samples as the generator makes it now: path → bytes."""
    return samples.make()


@pytest.fixture(scope="session")
def committed() -> Path:
    return COMMITTED

"""Homes for the tests of Dagster: a small closable history dropped into an inbox, and jobs run in this process."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration import landing
from orchestration.scheduling import definitions
from orchestration.settings import Settings, load_settings
from tests.end_to_end.histories import Options, make_history

# Months are partitions once they are over: the tests look at 2026-09 and 2026-10 whatever the clock says.
TODAY = datetime(2026, 12, 31, tzinfo=UTC)
NIGHT = "2026-12-05T02:00:00Z"


@pytest.fixture(scope="session")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A folder per landing: the first closes 2026-09, the second 2026-10."""
    folder = tmp_path_factory.mktemp("dumps")
    history = make_history(11, Options(events=200, landings=2, closable=True))
    return [Path(place.paths) for place in history.write(folder)]


@pytest.fixture(scope="session")
def parsed_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(tmp_path_factory.mktemp("parse") / "home")


@pytest.fixture(scope="session")
def defs(parsed_home: Settings) -> dg.Definitions:
    """What Dagster loads, as in a process of its own on a fresh clone: the project has not been parsed yet."""
    return definitions(parsed_home)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance, dg.partition_loading_context(TODAY, instance):
        yield instance


def drop(settings: Settings, folder: Path) -> None:
    """Put a landing's files into the inbox, as producers do."""
    shutil.copytree(folder, settings.inbox, dirs_exist_ok=True)


Run = Callable[..., dg.ExecuteInProcessResult]


def execute(defs: dg.Definitions, instance: dg.DagsterInstance) -> Run:
    """execute(…)(settings, job, as_of, partition_key=…, asset_selection=…): one run of a job on a home."""

    def run(settings: Settings, job: str, as_of: str = "", **options: Any) -> dg.ExecuteInProcessResult:
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("USAGE_HOME", str(settings.home))
            return defs.resolve_job_def(job).execute_in_process(
                instance=instance,
                run_config={"resources": {"clock": {"config": {"as_of": as_of}}}},
                raise_on_error=False,
                **options,
            )

    return run


@pytest.fixture
def run(defs: dg.Definitions, instance: dg.DagsterInstance) -> Run:
    return execute(defs, instance)


@pytest.fixture(scope="session")
def night_and_home(
    defs: dg.Definitions, dumps: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dg.ExecuteInProcessResult, Settings]:
    """The first landing's dumps in an inbox, and the nightly job run on them. The home is copied, not written to."""
    settings = home_with_key(tmp_path_factory.mktemp("night") / "home")
    drop(settings, dumps[0])
    with dg.DagsterInstance.ephemeral() as instance:
        return execute(defs, instance)(settings, "nightly", NIGHT), settings


@pytest.fixture
def night(night_and_home: tuple[dg.ExecuteInProcessResult, Settings]) -> dg.ExecuteInProcessResult:
    return night_and_home[0]


@pytest.fixture
def after_a_night(night_and_home: tuple[dg.ExecuteInProcessResult, Settings]) -> Settings:
    return night_and_home[1]


def home_with_key(home: Path) -> Settings:
    """A home whose pseudonyms are the same in every test."""
    home.mkdir(parents=True)
    (home / ".pii_key").write_text("a key for tests")
    return load_settings(home)


def steps(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """How each step of a run ended."""
    ends = {"STEP_SUCCESS": "success", "STEP_FAILURE": "failure", "STEP_SKIPPED": "skipped"}
    return {
        event.step_key: ends[event.event_type_value] for event in result.all_events if event.event_type_value in ends
    }


def failed_checks(result: dg.ExecuteInProcessResult, severity: dg.AssetCheckSeverity) -> set[str]:
    """The names of the checks of a run that failed with this severity."""
    return {
        evaluation.check_name
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity == severity
    }


def batches(settings: Settings) -> int:
    return len(landing.manifests(settings))

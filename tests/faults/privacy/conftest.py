"""A home in which people's data was planted, and through which Dagster's nightly job, a close and exports went."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration import closing, publishing
from orchestration.scheduling import definitions
from orchestration.settings import Settings, load_settings, parse_instant, tight_modes
from tests.end_to_end.histories import Options, make_history
from tests.faults.command import Command
from tests.faults.privacy.planting import plant
from tests.orchestration.dagster.conftest import TODAY, execute

NIGHT, MONTH_END = "2026-12-05T02:00:00Z", "2026-12-05T12:00:00Z"


@pytest.fixture(scope="package")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, dict[str, int], str]]:
    """The home, the records accepted per planted file, and all that the commands said. Without a key from outside."""
    root = tmp_path_factory.mktemp("privacy")
    settings = load_settings(root / "home")
    (place,) = make_history(11, Options(events=60, landings=1, closable=True)).write(root / "dumps")
    shutil.copytree(place.paths, settings.inbox)
    accepted = plant(settings.inbox / "events" / "planted")
    out = str(settings.home / "exports" / "night")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("USAGE_PII_KEY", raising=False)
        (settings.home / "dagster").mkdir()
        with (
            dg.DagsterInstance.local_temp(str(settings.home / "dagster")) as instance,
            dg.partition_loading_context(TODAY, instance),
        ):
            night = execute(definitions(settings), instance)(settings, "nightly", NIGHT)
        assert night.success
        said = "".join(str(event) for event in night.all_events)
        closing.finalize(settings, "2026-09", parse_instant(MONTH_END))
        with tight_modes():
            for form in publishing.FORMATS:
                said += str(publishing.export(settings, "analyst", "2026-09", form, Path(out)))
    status = Command("status", ("status", "--json")).run(settings.home, env={"USAGE_PII_KEY": ""})
    assert status.returncode == 0, status.stderr
    yield settings, accepted, said + status.stdout + status.stderr

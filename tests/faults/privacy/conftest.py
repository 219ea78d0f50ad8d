"""A home in which people's data was planted, and through which Dagster's nightly job, a close and exports went."""

import shutil
from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.scheduling import definitions
from orchestration.settings import Settings, load_settings
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
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("USAGE_PII_KEY", raising=False)
        (settings.home / "dagster").mkdir()
        with (
            dg.DagsterInstance.local_temp(str(settings.home / "dagster")) as instance,
            dg.partition_loading_context(TODAY, instance),
        ):
            night = execute(definitions(settings), instance)(settings, "nightly", NIGHT)
        assert night.success
    said = ""
    out = str(settings.home / "exports" / "night")
    for command in (
        Command("month-end", ("month-end", "2026-09", "--as-of", MONTH_END)),
        Command("status", ("status", "--json")),
        *(
            Command(
                "export", ("export", "--audience", "analyst", "--period", "2026-09", "--format", form, "--out", out)
            )
            for form in ("csv", "parquet", "pdf", "focus")
        ),
    ):
        done = command.run(settings.home, env={"USAGE_PII_KEY": ""})
        said += done.stdout + done.stderr
        assert done.returncode in (0, 3), done.stderr  # what was planted is in no ledger: a gate may block the close
    yield settings, accepted, said

"""Backfills are safe at any time: a past month's partition, run again after its close, and a night run again, change nothing."""

from pathlib import Path

import dagster as dg

from orchestration import closing
from orchestration.settings import Settings
from tests.end_to_end.house import copied, fingerprints, state
from tests.orchestration.dagster.conftest import Run, drop, failed_checks
from tests.orchestration.dagster.test_jobs import period_status

SEPTEMBER, OCTOBER = "2026-09", "2026-10"
NOW = "2026-12-08T02:00:00Z"
PROOF = ("lake", "finalized", "published")


def test_a_closed_month_is_run_again_between_and_after_other_closes(
    run: Run, after_a_night: Settings, dumps: list[Path], tmp_path: Path
) -> None:
    settings = copied(after_a_night, tmp_path / "home")
    assert run(settings, "month_end", "2026-12-05T12:00:00Z", partition_key=SEPTEMBER).success
    september = fingerprints(settings.finalized)

    drop(settings, dumps[1])  # also brings usage of the closed month
    assert run(settings, "nightly", "2026-12-06T02:00:00Z").success
    between = run(settings, "month_end", "2026-12-06T12:00:00Z", partition_key=SEPTEMBER)
    assert between.success and failed_checks(between, dg.AssetCheckSeverity.ERROR) == set()
    assert fingerprints(settings.finalized) == september, "what landed late is no part of the closed month"

    assert run(settings, "month_end", "2026-12-07T12:00:00Z", partition_key=OCTOBER).success
    assert run(settings, "nightly", NOW).success
    assert {period_status(settings, period) for period in (SEPTEMBER, OCTOBER)} == {"final"}
    proofs, figures = {part: fingerprints(settings.home / part) for part in PROOF}, state(settings)
    assert september.items() <= proofs["finalized"].items()

    for partition in (SEPTEMBER, OCTOBER):
        assert run(settings, "month_end", NOW, partition_key=partition).success
    assert run(settings, "nightly", NOW).success
    assert state(settings) == figures
    assert {part: fingerprints(settings.home / part) for part in PROOF} == proofs
    assert closing.verify(settings).problems == []

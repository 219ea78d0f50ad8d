"""The promises on one random history; `make soak` tries them on as many as time allows."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from orchestration import landing
from orchestration.settings import Settings
from tests.end_to_end.histories import Options, RandomHistory, histories, make_history
from tests.properties import promises
from tests.properties.promises import broken_promises

WHOLE = Options(events=60, landings=2, closable=True, corrections=True, aggregations=True)


@settings(
    max_examples=2, derandomize=True, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(history=histories(WHOLE))
def test_all_promises_hold(tmp_path_factory: pytest.TempPathFactory, history: RandomHistory) -> None:
    """Corrections, every aggregation, two closes; the order of dumps is for end_to_end and the soak. No shrinking: each try takes a minute."""
    assert len(history.closes) == 2
    assert broken_promises(history, tmp_path_factory.mktemp("promises")) == []


def test_a_broken_promise_shows(tmp_path: Path, monkeypatch) -> None:
    """A dump that is landed behind the oracle's back, and a receipt's file that changes."""
    history = make_history(7, Options(events=20, landings=2))
    landings = history.write(tmp_path / "dumps")
    home = Settings(tmp_path / "home", "1GB", 1)
    landing.land(home, [Path(landings[0].paths)], landings[0].landed_at)
    (home.finalized / "period=2026-09").mkdir(parents=True)
    frozen = home.finalized / "period=2026-09" / "invoice_lines.parquet"
    frozen.write_bytes(b"as it was")
    sealed = promises.fingerprints(home.finalized)
    frozen.write_bytes(b"as it is")
    monkeypatch.setattr(promises, "_final", lambda home: {"usage": [("2026-09", 2)]})
    assert promises._moved(home, sealed, {"usage": [("2026-09", 1)]}) == [
        "finalized/period=2026-09/invoice_lines.parquet changed",
        "final usage changed",
    ]

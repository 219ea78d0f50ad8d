"""The promises on a few random histories; `make soak` keeps them on as many as time allows."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as hypothesis_settings

from orchestration import landing
from orchestration.settings import Settings
from tests.end_to_end.histories import Options, RandomHistory, make_history
from tests.properties import promises
from tests.properties.promises import broken_promises, small_histories

CLOSED_TWICE = make_history(5, Options(events=80, landings=3, closable=True))
ANY_ORDER = make_history(6, Options(events=80, landings=2, conflicts=False, reference_changes=False))


@hypothesis_settings(
    max_examples=1,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@example(CLOSED_TWICE)
@example(ANY_ORDER)
@given(small_histories())
def test_all_promises_hold(history: RandomHistory) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert broken_promises(history, Path(folder)) == []


def test_a_broken_promise_shows(tmp_path: Path, monkeypatch) -> None:
    """A dump that is landed behind the oracle's back, and a receipt's file that changes."""
    history = make_history(7, Options(events=20, landings=2))
    landings = history.write(tmp_path / "dumps")
    settings = Settings(tmp_path / "home", "1GB", 1)
    landing.land(settings, [Path(landings[0].paths)], landings[0].landed_at)
    (settings.finalized / "period=2026-09").mkdir(parents=True)
    frozen = settings.finalized / "period=2026-09" / "invoice_lines.parquet"
    frozen.write_bytes(b"as it was")
    sealed = promises.fingerprints(settings.finalized)
    frozen.write_bytes(b"as it is")
    monkeypatch.setattr(promises, "_final", lambda settings: {"usage": [("2026-09", 2)]})
    assert promises._moved(settings, sealed, {"usage": [("2026-09", 1)]}) == [
        "finalized/period=2026-09/invoice_lines.parquet changed",
        "final usage changed",
    ]

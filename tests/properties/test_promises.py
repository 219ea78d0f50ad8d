"""The promises on one random history; `make soak` tries them on as many as time allows."""

from pathlib import Path

from orchestration import landing
from orchestration.settings import Settings
from tests.end_to_end.histories import Options, make_history
from tests.properties import promises
from tests.properties.promises import broken_promises


def test_all_promises_hold(tmp_path: Path) -> None:
    """Two closes, each with a landing behind it or before it; the order of dumps is for end_to_end and the soak."""
    history = make_history(5, Options(events=60, landings=2, closable=True))
    assert len(history.closes) == 2
    assert broken_promises(history, tmp_path) == []


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

"""Random histories with closes: final figures equal the oracle's, do not move when more lands, and have the same bytes in another home."""

from datetime import timedelta
from pathlib import Path

import pytest

from orchestration import closing, landing, operations, warehouse
from orchestration.settings import Settings
from tests.end_to_end.histories import Options, RandomHistory, make_history
from tests.end_to_end.house import fingerprints, rows
from tests.oracle import Landing, compare, compute


def live(settings: Settings, history: RandomHistory, landings: list[Landing], landed_now: bool = False) -> None:
    """Land and close as planned. `landed_now`: at the clock's time instead of the planned one; closes keep theirs."""
    for number, place in enumerate(landings, start=1):
        landing.land(settings, [Path(place.paths)], None if landed_now else place.landed_at)
        for close in history.closes:
            if close.after_landing == number:
                operations.month_end(settings, close.billing_period, place.landed_at + timedelta(hours=1))
    operations.nightly(settings, landings[-1].landed_at + timedelta(days=1))


@pytest.fixture(scope="module")
def history() -> RandomHistory:
    return make_history(21, Options(events=400, landings=4, closable=True))


@pytest.fixture(scope="module")
def closed(history: RandomHistory, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[Landing]]:
    folder = tmp_path_factory.mktemp("closes")
    landings = history.write(folder / "dumps")
    settings = Settings(folder / "home", "2GB", 2)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
        live(settings, history, landings)
    return settings, landings


def test_final_figures_and_adjustments_equal_the_oracle(
    closed: tuple[Settings, list[Landing]], history: RandomHistory
) -> None:
    settings, landings = closed
    final = rows(
        settings.warehouse, "select billing_period from billing.billing_periods where status = 'final' order by 1"
    )
    assert final == [(close.billing_period,) for close in history.closes] and len(final) == 2
    with warehouse.read(settings) as connection:
        assert compare(compute(landings, history.closes), connection) == []
    assert closing.verify(settings).problems == []


def test_another_home_gets_the_same_final_bytes_whenever_it_lands(
    closed: tuple[Settings, list[Landing]], history: RandomHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, landings = closed
    monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
    other = Settings(tmp_path / "home", "2GB", 1)
    live(other, history, landings)
    assert fingerprints(other.finalized) == fingerprints(settings.finalized)
    assert fingerprints(other.published) == fingerprints(settings.published)


def test_a_full_refresh_keeps_final_figures(closed: tuple[Settings, list[Landing]], history: RandomHistory) -> None:
    settings, landings = closed
    final = "from billing.invoice_lines where status = 'final' order by all"
    before = rows(settings.warehouse, final)
    warehouse.build(settings, landings[-1].landed_at + timedelta(days=1), full_refresh=True)
    assert rows(settings.warehouse, final) == before
    with warehouse.read(settings) as connection:
        assert compare(compute(landings, history.closes), connection) == []


def test_final_figures_of_corrected_and_aggregated_usage_equal_the_oracle(home: Settings, tmp_path: Path) -> None:
    """Closed months stay as they were at their cutoff; what is taken back or carried into them later is adjusted."""
    history = make_history(22, Options(events=300, landings=4, closable=True, corrections=True, aggregations=True))
    landings = history.write(tmp_path / "dumps")
    live(home, history, landings)
    with warehouse.read(home) as connection:
        oracle = compute(landings, history.closes, as_of=landings[-1].landed_at + timedelta(days=1))
        assert compare(oracle, connection) == []
        assert any(line.unit.endswith("-hour") for line in oracle.adjustments if line.unit)
    assert closing.verify(home).problems == []

"""Random histories with closes: final figures equal the oracle's, do not move when more lands, and have the same bytes in another home."""

import json
import subprocess
import sys
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from orchestration import closing, landing, operations, warehouse
from orchestration.errors import UsageWarehouseError
from orchestration.settings import DBT_PROJECT, Settings
from tests.end_to_end.histories import Options, RandomHistory, make_history
from tests.end_to_end.house import fingerprints, rows
from tests.oracle import Landing, compare, compute
from tests.oracle.exact import round_half_away


def live(settings: Settings, history: RandomHistory, landings: list[Landing], landed_now: bool = False) -> None:
    """Land and close as planned. `landed_now`: at the clock's time instead of the planned one; closes keep theirs."""
    for number, place in enumerate(landings, start=1):
        landing.land(settings, [Path(place.paths)], None if landed_now else place.landed_at)
        for close in history.closes:
            if close.after_landing == number:
                operations.month_end(settings, close.billing_period, place.landed_at + timedelta(hours=1))
    operations.nightly(settings, landings[-1].landed_at + timedelta(days=1))


def compiled(analysis: str, settings: Settings, **variables: str) -> str:
    """The SQL of an analysis, as dbt compiles it for the home."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("USAGE_HOME", str(settings.home))
        target = settings.home.parent / "analysis"
        folders = [
            "--project-dir",
            DBT_PROJECT,
            "--profiles-dir",
            DBT_PROJECT,
            "--target-path",
            target,
            "--log-path",
            target,
        ]
        arguments = ["--quiet", "compile", "--select", analysis, "--vars", json.dumps(variables), *map(str, folders)]
        subprocess.run([str(Path(sys.executable).with_name("dbt")), *arguments], check=True, capture_output=True)
    return (target / f"compiled/usage_warehouse/analyses/{analysis}.sql").read_text()


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


def test_the_drift_of_a_period_is_what_came_after_its_close(
    closed: tuple[Settings, list[Landing]], history: RandomHistory
) -> None:
    settings, landings = closed
    result = compute(landings, history.closes)
    expected = {}
    for close in history.closes:
        late = sum(
            abs(usage.event_count)
            for key, usage in result.late_usage.items()
            if key.billing_period == close.billing_period
        )
        held = sum(
            usage.event_count
            for key, usage in result.usage_monthly.items()
            if key.billing_period == close.billing_period
        )
        expected[close.billing_period] = round_half_away(Fraction(late, held), 12)
    found = "select billing_period, finalization_drift_ratio from billing.billing_periods where status = 'final'"
    assert dict(rows(settings.warehouse, found)) == expected and all(expected.values())


AS_OF_COLUMNS = "account_id, metric, sku, region, unit, quantity, event_count, quantity_variance"


@pytest.mark.parametrize("batch_id", [1, 3])
def test_the_state_as_of_a_batch_is_the_one_that_was_known_then(
    closed: tuple[Settings, list[Landing]], history: RandomHistory, tmp_path: Path, batch_id: int
) -> None:
    settings, landings = closed
    before = fingerprints(settings.home)
    operations.build_as_of_batch(settings, batch_id, tmp_path / "then")
    assert fingerprints(settings.home) == before
    then, closes = Settings(tmp_path / "then", "2GB", 2), [c for c in history.closes if c.after_landing <= batch_id]
    with warehouse.read(then) as connection:
        assert compare(compute(landings[:batch_id], closes), connection) == []
        monthly = connection.sql(f"select billing_period, {AS_OF_COLUMNS} from usage.usage_monthly order by all")
        daily = connection.sql(f"select billing_date, {AS_OF_COLUMNS} from usage.usage_daily order by all")
        expected = monthly.fetchall(), daily.fetchall()
    assert closing.verify(then, recompute=False).problems == []
    landed_at = landings[batch_id - 1].landed_at.replace(tzinfo=None)
    for asked in (str(batch_id), f"operations.batch_at(timestamp '{landed_at}')"):
        found = [
            rows(settings.warehouse, f"from usage.usage_{grain}_as_of({asked}) order by all")
            for grain in ("monthly", "daily")
        ]
        assert tuple(found) == expected
    assert rows(settings.warehouse, "select operations.batch_at(timestamp '2026-01-01')") == [(None,)]


@pytest.mark.parametrize(
    ("batch_id", "into", "says"),
    [(9, "new", "the batches are 1 to 4"), (1, ".", "not an empty folder"), (1, "home/then", "lies in the home")],
)
def test_a_past_state_is_refused_where_it_cannot_be_built(
    closed: tuple[Settings, list[Landing]], batch_id: int, into: str, says: str
) -> None:
    settings, _ = closed
    with pytest.raises(UsageWarehouseError, match=says):
        operations.build_as_of_batch(settings, batch_id, settings.home.parent / into)


def test_the_analysis_walks_every_line_of_usage_down_to_its_rows_and_each_step_adds_up(
    closed: tuple[Settings, list[Landing]],
) -> None:
    settings, _ = closed
    analysis = compiled("explain_line", settings, line_id="the-line")
    lines = rows(
        settings.warehouse, "select line_id, line_type, status from billing.invoice_lines where charge_type = 'usage'"
    )
    assert {("usage", "final"), ("adjustment", "final"), ("adjustment", "provisional")} <= {line[1:] for line in lines}
    steps = ["tiers", "days", "hours", "postings", "batches", "files", "rows"]
    for line_id, _, _ in lines:
        walked = rows(settings.warehouse, analysis.replace("the-line", line_id))
        ((quantity, amount),) = [row[3:4] + row[5:6] for row in walked if row[1] == "line"]
        shown = {step: sum(row[3] for row in walked if row[1] == step) for step in steps[1:]}
        assert shown == dict.fromkeys(steps[1:], quantity), line_id
        assert sum(row[5] for row in walked if row[1] == "tiers") == amount
        assert all(row[6] == quantity for row in walked if row[1] in steps[1:])
        assert operations.explain(settings, line_id)["adds_up"], line_id


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

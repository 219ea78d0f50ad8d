"""The reference, written on its own in another way, has the house's figures to the last digit; and the comparison sees what differs."""

import importlib
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from orchestration import landing, warehouse
from orchestration.settings import Settings, parse_instant
from raw_samples.generator.load import write_load
from tests.benchmarks import reference_job
from tests.benchmarks.comparing import FIGURES, differences
from tests.benchmarks.sets import LoadSet, instant

EVENTS, DAYS, ACCOUNTS = 6_000, 31, 40
# The peers are no part of the house: those that are installed (group `bench`) are held to the same figures.
PEERS = {"polars": "polars", "chdb": "clickhouse"}
ENGINES = ["reference", *(engine for package, engine in PEERS.items() if find_spec(package))]
# The figures rest on these; what is built beside them takes most of the time of so small a house.
NEEDED = ["+usage_hourly", "+usage_daily", "+usage_monthly", "+unattributed_usage", "+invoice_lines"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A house of two landings: the second brings late events and duplicates of the first."""
    folder = tmp_path_factory.mktemp("benchmark")
    write_load(folder / "load", EVENTS, DAYS, ACCOUNTS, seed=11)
    load, settings = LoadSet(folder / "load", EVENTS, DAYS), Settings(folder / "home", "2GB", 2)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
        for first, after, more in ((0, 20, [load.reference]), (20, load.last_collection, [])):
            landing.land(settings, [*more, *load.collected(first, after)], parse_instant(instant(after)))
        warehouse.build(settings, parse_instant(instant(load.last_collection)), select=NEEDED, test=False)
    return settings


@pytest.fixture(scope="module")
def reference(house: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("reference")
    reference_job.run(house.home, output)
    return output


def test_the_reference_has_the_figures_of_the_house(house: Settings, reference: Path) -> None:
    assert differences(house.home, reference) == []
    with duckdb.connect(str(reference / reference_job.DATABASE), read_only=True) as connection:
        periods = connection.execute("select distinct billing_period from usage_monthly order by 1").fetchall()
        counted = connection.execute("select sum(event_count) from usage_monthly").fetchone()
        bare = connection.execute("select sum(event_count) from unattributed_usage").fetchone()
        models = connection.execute("select count(distinct price_id) from invoice_lines").fetchone()
    assert periods == [("2026-09",), ("2026-10",)]
    # exactly the shares that the set was written with: 0.5 % duplicates, 2 % without a key
    assert (counted, bare) == ((EVENTS - 30 - 120,), (120,))
    assert models[0] > 100


@pytest.mark.parametrize("table", FIGURES)
def test_a_figure_that_is_off_by_the_last_digit_is_found(
    table: str, house: Settings, reference: Path, tmp_path: Path
) -> None:
    other = tmp_path / reference_job.DATABASE
    other.write_bytes((reference / reference_job.DATABASE).read_bytes())
    column = "amount" if table == "invoice_lines" else "quantity"
    step = "0.000001" if table == "invoice_lines" else "0.000000001"
    with duckdb.connect(str(other)) as connection:
        connection.execute(
            f"update {table} set {column} = {column} + {step} where rowid = (select max(rowid) from {table})"
        )
    found = differences(house.home, tmp_path)
    assert [line.partition(" rows only in")[0] for line in found if not line.startswith("  ")] == [f"{table}: 1"] * 2
    assert len([line for line in found if line.startswith("  ")]) == 2


def test_a_missing_and_a_doubled_row_are_found(house: Settings, reference: Path, tmp_path: Path) -> None:
    other = tmp_path / reference_job.DATABASE
    other.write_bytes((reference / reference_job.DATABASE).read_bytes())
    with duckdb.connect(str(other)) as connection:
        connection.execute("delete from usage_daily where rowid = (select max(rowid) from usage_daily)")
        connection.execute("insert into usage_hourly from usage_hourly where rowid = 0")
    found = [line.partition(", such as")[0] for line in differences(house.home, tmp_path) if not line.startswith("  ")]
    assert found == [f"usage_daily: 1 rows only in {house.home}", f"usage_hourly: 1 rows only in {tmp_path}"]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_job_has_the_figures_of_the_house(engine: str, house: Settings, tmp_path: Path) -> None:
    job = importlib.import_module(f"tests.benchmarks.{engine}_job")
    job.run(house.home, tmp_path)
    assert differences(tmp_path, house.home) == []

"""What data tests look at: a build those entries that no build has passed yet, however often it fails; `dbt test` and a full refresh everything."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from orchestration.errors import UsageWarehouseError
from orchestration.settings import DBT_PROJECT
from tests.dbt.small_house import Row, SmallHouse

REFERENCES = {
    "metrics": [{"metric": "calls", "aggregation": "sum", "unit": "call"}],
    "units": [{"unit": "call", "base_unit": "call", "factor": 1}],
    "skus": [{"sku": "calls", "metric": "calls"}],
    "accounts": [{"account_id": "acme", "billing_timezone": "UTC", "currency_code": "USD"}],
}
DOUBLED = "insert into intermediate.int_usage_posted select * from intermediate.int_usage_posted where batch_id = 1"


def event(day: int) -> Row:
    return {
        "metric": "calls", "account_id": "acme", "event_ts": f"2026-11-{day:02d}T10:00:00Z", "quantity": 1, "unit": "call",
    }  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> SmallHouse:
    house = SmallHouse(tmp_path, **REFERENCES)
    house.land("2026-11-04 00:00", event(3), event(3))
    return house


def passed_batch(house: SmallHouse) -> int:
    [(batch_id,)] = house.rows("select tested_batch_id from intermediate.int_batches_tested")
    return batch_id


def damage(house: SmallHouse) -> None:
    with duckdb.connect(str(house.settings.warehouse)) as connection:
        connection.execute(DOUBLED)


def test_what_failed_is_tested_until_it_passes(house: SmallHouse) -> None:
    house.build("2026-11-04 01:00", test=False)
    assert passed_batch(house) == 0
    damage(house)
    for hour in (2, 3):
        with pytest.raises(UsageWarehouseError, match="unique_grain_int_usage_posted"):
            house.build(f"2026-11-04 0{hour}:00")
        assert passed_batch(house) == 0
    house.build("2026-11-04 04:00", full_refresh=True)
    assert house.rows("from intermediate.int_batches_tested") == [(1, 0)]


def test_a_build_of_a_part_says_nothing_of_the_whole(house: SmallHouse) -> None:
    house.build("2026-11-04 01:00", test=False)
    house.build("2026-11-04 02:00", select=["+int_batches_tested"])
    assert passed_batch(house) == 0


def test_a_night_looks_at_what_it_brought_and_dbt_test_at_everything(house: SmallHouse) -> None:
    house.build("2026-11-04 01:00")
    damage(house)
    house.land("2026-11-05 00:00", event(4))
    house.build("2026-11-05 01:00")
    assert house.rows("from intermediate.int_batches_tested") == [(2, 1)]
    found = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "test", "--select", "test_type:data", "--target-path", house.folder / "target"],
        cwd=DBT_PROJECT, env={**os.environ, "USAGE_HOME": str(house.settings.home), "DO_NOT_TRACK": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 1
    assert "unique_grain_int_usage_posted" in found.stdout and "usage_is_the_sum_of_its_postings" in found.stdout


def test_a_night_looks_at_percentiles_of_the_months_it_touched(house: SmallHouse) -> None:
    house.build("2026-11-04 01:00")
    house.land("2026-11-05 00:00", event(4))
    house.build("2026-11-05 01:00")
    query = house.asked_by("unique_grain_int_percentiles_by_period")
    percentiles = '"warehouse"."intermediate"."int_percentiles_by_period"'
    for first_date, found in [("2026-11-01", 1), ("2026-10-01", 0)]:
        row = f"(select * replace (date '{first_date}' as first_date) from {percentiles})"
        assert len(house.rows(query.replace(percentiles, f"(from {row} union all from {row})"))) == found

"""Incremental models append to the table that is there; a table of an earlier version with other columns is refused, not filled with gaps."""

from pathlib import Path

import duckdb
import pytest

from orchestration.errors import UsageWarehouseError
from tests.dbt.small_house import SmallHouse
from tests.dbt.test_what_is_tested import REFERENCES, event


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SmallHouse:
    """One batch is built, another has landed. Copied, not built again."""
    house = SmallHouse(tmp_path_factory.mktemp("built"), **REFERENCES)
    house.land("2026-11-04 00:00", event(3))
    house.build("2026-11-04 01:00")
    house.land("2026-11-05 00:00", event(4))
    return house


@pytest.fixture
def house(built: SmallHouse, tmp_path: Path) -> SmallHouse:
    return built.copied(tmp_path)


@pytest.mark.parametrize("model", ["int_usage_posted", "int_usage_by_hour"])  # without and with a contract
@pytest.mark.parametrize("change", ["add column shade varchar", "drop column quantity_variance"])
def test_other_columns_are_refused_and_a_full_refresh_helps(house: SmallHouse, model: str, change: str) -> None:
    table = f"intermediate.{model}"
    with duckdb.connect(str(house.settings.warehouse)) as connection:
        connection.execute(f"alter table {table} {change}")
        before = connection.execute(f"from {table}").fetchall()
    with pytest.raises(UsageWarehouseError, match=f"{model}.*its columns are not those of the table"):
        house.build("2026-11-05 01:00")
    assert house.rows(f"from {table}") == before
    house.build("2026-11-05 02:00", full_refresh=True)
    assert house.rows(f"select usage_hour::date::varchar, quantity::integer from {table} order by 1") == [
        ("2026-11-03", 1), ("2026-11-04", 1),
    ]  # fmt: skip


def test_what_a_night_brings_is_appended(house: SmallHouse) -> None:
    house.build("2026-11-05 01:00")
    assert house.rows("select batch_id, usage_hour::date::varchar from intermediate.int_usage_posted order by 1") == [
        (1, "2026-11-03"), (2, "2026-11-04"),
    ]  # fmt: skip


def test_what_nights_bring_is_made_one_at_the_month_s_end(house: SmallHouse) -> None:
    def parts() -> int:
        [(found,)] = house.rows(
            "select count(distinct row_group_id) from pragma_storage_info('intermediate.int_usage_posted')"
        )
        return found

    house.build("2026-11-05 01:00", compact=False)
    assert parts() == 2
    house.land("2026-11-06 00:00", event(5))
    house.build("2026-11-06 01:00")
    assert parts() == 1
    assert house.rows("select count(*) from intermediate.int_usage_posted") == [(3,)]


def test_a_month_between_two_that_are_touched_stays_as_it_is(tmp_path: Path) -> None:
    """Months are computed again between the first and the last of those that a batch touches: the one in between is not."""
    house = SmallHouse(tmp_path, **REFERENCES)
    months = [(month, {**event(3), "event_ts": f"2026-{month}-03T10:00:00Z"}) for month in ("09", "10", "11")]
    house.land("2026-11-04 00:00", *(event for _, event in months))
    house.build("2026-11-04 01:00")
    house.land("2026-11-05 00:00", *(event for month, event in months if month != "10"))
    house.build("2026-11-05 01:00")
    for table in ("intermediate.int_usage_by_period", "intermediate.int_percentiles_by_period"):
        assert house.rows(f"select count(*) from {table}") == [(3,)]
    assert house.rows("select billing_period, event_count, last_batch_id from intermediate.int_usage_by_period order by 1") == [
        ("2026-09", 2, 2), ("2026-10", 1, 1), ("2026-11", 2, 2),
    ]  # fmt: skip

"""Aggregations after a close, worked out by hand: slices at a change of price, and late events that change a level carried into a closed month
without any event of its own, and into the month that is running."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration import closing, operations
from orchestration.closing.receipts import read_receipt
from orchestration.errors import UsageWarehouseError
from tests.dbt.small_house import Row, SmallHouse, instant
from tests.end_to_end.house import state

# metric, aggregation, unit, price until 10 October, and from then on
METRICS = [
    ("disk", "time_weighted", "GB", "0.01", "0.02"),
    ("seats", "weighted_sum", "seat", "10", "20"),
    ("warmest", "max", "C", "1", "2"),
    ("weather", "latest", "C", "1", "2"),
]
CHANGE = "2026-10-11"
REFERENCES = {
    "metrics": [{"metric": metric, "aggregation": aggregation, "unit": unit} for metric, aggregation, unit, *_ in METRICS],
    "units": [{"unit": "GB", "base_unit": "GB", "factor": 1}],
    "skus": [{"sku": metric, "metric": metric} for metric, *_ in METRICS],
    "accounts": [{"account_id": "acme", "billing_timezone": "UTC", "currency_code": "USD"}],
    "account_plans": [{"account_id": "acme", "plan_id": "plan"}],
    "prices": [
        {
            "price_id": f"{metric}-{number}", "plan_id": "plan", "sku": metric, "region": "*", "currency_code": "USD",
            "model": "per_unit", "valid_from": valid_from, "valid_to": valid_to,
        }
        for metric, *_ in METRICS
        for number, valid_from, valid_to in [(1, None, CHANGE), (2, CHANGE, None)]
    ],
    "price_tiers": [
        {"price_id": f"{metric}-{number}", "tier_number": 1, "unit_price": price}
        for metric, _, _, *prices in METRICS
        for number, price in enumerate(prices, start=1)
    ],
}  # fmt: skip
UNITS = {metric: unit for metric, _, unit, *_ in METRICS}

# sku, price and slice, quantity, amount
SEPTEMBER = {
    ("disk", "disk-1"): ("5040", "50.40"),  # 10 GB from 10 September on: 504 hours
    ("warmest", "warmest-1"): ("5", "5.00"),
}
OCTOBER = {
    ("disk", "disk-1"): ("2400", "24.00"),  # not one event: 10 GB for 240 hours, then 504 at the new price
    ("disk", "disk-2"): ("5040", "100.80"),
    ("seats", "seats-1"): ("0.322580645", "3.23"),  # one seat for 10 of 31 days, and for 21: together one
    ("seats", "seats-2"): ("0.677419355", "13.55"),
    ("warmest", "warmest-1"): ("5", "5.00"),  # reached on the 5th, before the change of price, and again on the 20th
    ("weather", "weather-2"): ("3", "6.00"),  # the latest came on the 20th
}
# as known on 6 November at 00:00
NOVEMBER = {
    ("disk", "disk-2"): ("480", "9.60"),  # 4 GB for 120 hours
    ("seats", "seats-2"): ("0.166666667", "3.33"),  # one seat for 5 of 30 days
}
# origin, SKU and price: what was billed is taken back, and what is known now is billed: from 20 September on there were 4 GB; and 8 degrees on the 12th
ADJUSTMENTS = {
    ("2026-09", "disk", "disk-1"): [("-5040", "-50.40"), ("3456", "34.56")],  # 10 · 240 h + 4 · 264 h
    ("2026-10", "disk", "disk-1"): [("-2400", "-24.00"), ("960", "9.60")],
    ("2026-10", "disk", "disk-2"): [("-5040", "-100.80"), ("2016", "40.32")],
    ("2026-09", "warmest", "warmest-1"): [("-5", "-5.00"), ("8", "8.00")],
}


def event(metric: str, event_ts: str, quantity: int) -> Row:
    return {
        "metric": metric, "account_id": "acme", "event_ts": f"{event_ts}T00:00:00Z", "quantity": quantity, "unit": UNITS[metric],
    }  # fmt: skip


def ledger(september: dict, october: dict) -> list[Row]:
    """What finance booked: what is billed."""
    return [
        {
            "entry_id": f"{period}-{number}", "billing_period": period, "account_id": "acme", "sku": sku,
            "currency_code": "USD", "amount": amount, "posted_at": f"{posted_on}T00:00:00",
        }
        for period, posted_on, lines in [("2026-09", "2026-10-04", september), ("2026-10", "2026-11-04", october)]
        for number, ((sku, _), (_, amount)) in enumerate(lines.items())
    ]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> SmallHouse:
    """September and October are closed through all gates; then events of September land."""
    house = SmallHouse(tmp_path_factory.mktemp("closed"), **REFERENCES)
    house.land(
        "2026-10-04 12:00",
        event("disk", "2026-09-10", 10),
        event("warmest", "2026-09-03", 5),
        event("seats", "2026-10-01", 1),
        finance_ledger=ledger(SEPTEMBER, {}),
    )
    operations.month_end(house.settings, "2026-09", instant("2026-10-05 00:00"))
    house.land(
        "2026-11-04 12:00",
        event("warmest", "2026-10-05", 5),
        event("warmest", "2026-10-20", 5),
        event("weather", "2026-10-05", 1),
        event("weather", "2026-10-20", 3),
        finance_ledger=ledger(SEPTEMBER, OCTOBER),
    )
    operations.month_end(house.settings, "2026-10", instant("2026-11-05 00:00"))
    house.land("2026-11-05 12:00", event("disk", "2026-09-20", 4), event("warmest", "2026-09-12", 8))
    house.build("2026-11-06 00:00")
    return house


@pytest.mark.parametrize(
    ("period", "lines"), [("2026-09", SEPTEMBER), ("2026-10", OCTOBER), ("2026-11", NOVEMBER)], ids=str
)
def test_lines(house: SmallHouse, period: str, lines: dict) -> None:
    found = house.rows(
        "select sku, price_id, quantity, amount from billing.invoice_lines where billing_period = ? and line_type = 'usage'",
        period,
    )
    assert {row[:2]: row[2:] for row in found} == {key: tuple(map(Decimal, line)) for key, line in lines.items()}


def test_slices_sum_to_the_months_figure(house: SmallHouse) -> None:
    found = house.rows("select quantity from usage.usage_monthly where metric = 'seats' and billing_period = '2026-10'")
    assert found == [(Decimal(1),)]


def test_adjustments(house: SmallHouse) -> None:
    found = house.rows(
        "select origin_period, sku, price_id, quantity, amount from billing.invoice_lines "
        "where billing_period = '2026-11' and line_type = 'adjustment' order by quantity"
    )
    sides: dict[tuple, list[tuple]] = {}
    for *key, quantity, amount in found:
        sides.setdefault(tuple(key), []).append((quantity, amount))
    assert sides == {key: [tuple(map(Decimal, side)) for side in pair] for key, pair in ADJUSTMENTS.items()}


def test_every_line_is_explained_by_its_tiers_and_events(house: SmallHouse) -> None:
    """A line of a figure that does not add up shows the events that it rests on, those of a level from the first one on."""
    lines = house.rows("select line_id, billing_period, sku, price_id, line_type from billing.invoice_lines")
    explained = {line[1:]: operations.explain(house.settings, line[0]) for line in lines}
    assert [key for key, found in explained.items() if not found["adds_up"]] == []
    events = {
        key[:3]: [str(one["event_ts"])[:10] for one in found["events"]]
        for key, found in explained.items()
        if key[3] == "usage"
    }
    assert events["2026-10", "disk", "disk-2"] == ["2026-09-10"]
    assert sorted(events["2026-10", "warmest", "warmest-1"]) == ["2026-10-05", "2026-10-20"]


def test_closed_months_do_not_move(house: SmallHouse) -> None:
    found = house.rows(
        "select billing_period, quantity from usage.usage_monthly where metric = 'disk' and period_status = 'final' order by 1"
    )
    assert found == [("2026-09", Decimal(5040)), ("2026-10", Decimal(7440))]


def test_closed_months_are_rebuilt_from_the_lake(house: SmallHouse) -> None:
    """As of their cutoffs, and with now long after them: a level of a closed month is looked at up to the month's end."""
    for period in ("2026-09", "2026-10"):
        assert closing.recompute(house.settings, read_receipt(house.settings, period)) == []


def test_the_nightly_state_is_that_of_a_full_rebuild(house: SmallHouse, tmp_path: Path) -> None:
    rebuilt = house.copied(tmp_path)
    rebuilt.build("2026-11-06 00:00", full_refresh=True, test=False)
    assert state(rebuilt.settings) == state(house.settings)


@pytest.mark.parametrize(
    ("column", "test"), [("unit_price", "final_rows_are_the_frozen_ones"), ("tier_amount", "tiers_sum_to_every_line")]
)
def test_what_is_frozen_is_tested_until_a_build_after_its_close_passes(
    house: SmallHouse, tmp_path: Path, column: str, test: str
) -> None:
    """A tier of October has another unit price than its receipt, or another amount than its line; October was closed on batch 2, and batch 3 has passed."""
    damaged = house.copied(tmp_path)

    def change(statement: str) -> None:
        with duckdb.connect(str(damaged.settings.warehouse)) as connection:
            connection.execute(statement)

    change(f"update billing.invoice_line_tiers set {column} = {column} + 1 where billing_period = '2026-10'")
    damaged.build("2026-11-06 00:00")
    for how in ({"select": [test]}, {}):
        change("update intermediate.int_batches_tested set tested_batch_id = 2")
        with pytest.raises(UsageWarehouseError, match=f"{test}|final_rows_are_the_frozen_ones"):
            damaged.build("2026-11-06 00:00", **how)
    damaged.build("2026-11-06 00:00", full_refresh=True)


@pytest.fixture(scope="module")
def night(house: SmallHouse, tmp_path_factory: pytest.TempPathFactory) -> SmallHouse:
    """A night with nothing new, after all was tested."""
    night = house.copied(tmp_path_factory.mktemp("night"))
    night.build("2026-11-06 00:00")
    return night


@pytest.mark.parametrize(
    ("test", "mart", "rows", "put_as"),
    [
        (f"unique_grain_{mart}_{grain}", f"{schema}.{mart}", rows, put_as)
        for schema, mart, grain, column in [
            ("billing", "invoice_line_tiers", "line_id", "billing_period"),
            ("usage", "usage_hourly", "usage_hour", "billing_date"),
        ]
        for rows, put_as in [
            (f"{column}::varchar like '2026-11%' and {column}::varchar <> '2026-11-05'", None),
            *([("true", "'2026-08'"), ("true", "'2026-12'"), ("true", "null")] if column == "billing_period" else []),
        ]
    ],
)
def test_a_night_looks_at_all_that_is_not_closed(
    night: SmallHouse, test: str, mart: str, rows: str, put_as: str | None
) -> None:
    """Rows twice: of levels that have moved on without an event, of the month that runs, of months that are none of the closed ones, and of none."""
    schema, name = mart.split(".")
    added = f"(select * {f'replace ({put_as} as billing_period)' if put_as else ''} from {mart} where {rows})"
    more = f"(from {mart} union all from {added} union all from {added})"
    query = night.asked_by(test).replace(f'"warehouse"."{schema}"."{name}"', more)
    with duckdb.connect(str(night.settings.warehouse), read_only=True) as connection:
        [(expected,)] = connection.execute(f"select count(*) from {added}").fetchall()
        assert len(connection.execute(query).fetchall()) == expected > 0


@pytest.mark.parametrize(
    ("test", "mart", "rows"),
    [
        ("unique_grain_invoice_line_tiers_line_id", "billing.invoice_line_tiers", "billing_period < '2026-11'"),
        ("unique_grain_usage_hourly_usage_hour", "usage.usage_hourly", "billing_date < '2026-11-01'"),
    ],
)
def test_a_night_does_not_look_at_closed_months_again(night: SmallHouse, test: str, mart: str, rows: str) -> None:
    schema, name = mart.split(".")
    twice = f"(from {mart} union all from {mart} where {rows})"
    query = night.asked_by(test).replace(f'"warehouse"."{schema}"."{name}"', twice)
    with duckdb.connect(str(night.settings.warehouse), read_only=True) as connection:
        assert connection.execute(f"select count(*) > 0 from {mart} where {rows}").fetchall() == [(True,)]
        assert connection.execute(query).fetchall() == []


def test_a_new_line_may_not_have_the_name_of_a_closed_one(night: SmallHouse) -> None:
    """What a night looks for: it has tested the closed lines against each other before."""
    query = night.asked_by("unique_invoice_lines_line_id.")
    named = "(select min(line_id) from billing.invoice_lines where billing_period = '2026-09')"
    with duckdb.connect(str(night.settings.warehouse)) as connection:
        assert connection.execute(query).fetchall() == []
        connection.execute(f"insert into billing.invoice_lines from billing.invoice_lines where line_id = {named}")
        assert connection.execute(query).fetchall() == []
        connection.execute(f"update billing.invoice_lines set line_id = {named} where billing_period = '2026-11'")
        [(_, times)] = connection.execute(query).fetchall()
        [(expected,)] = connection.execute(
            f"select count(*) from billing.invoice_lines where line_id = {named}"
        ).fetchall()
        assert times == expected > 2

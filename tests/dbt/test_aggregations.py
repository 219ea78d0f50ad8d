"""Figures of every aggregation, worked out by hand: per month, day and hour, with events that land late and out of order, over the end of daylight
time, and in months without any event; and the nightly state is that of a full rebuild."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.dbt.small_house import Row, SmallHouse
from tests.end_to_end.house import state

# metric, aggregation, unit, distinct_on
METRICS = [
    ("coldest", "min", "C", None),
    ("warmest", "max", "C", None),
    ("warmth", "avg", "C", None),
    ("weather", "latest", "C", None),
    ("memory", "max", "GB", None),
    ("users", "count_distinct", "user", "user"),
    ("visits", "count_distinct", "visit", None),
    ("traffic", "p95_per_5min", "GB", None),
    ("disk", "time_weighted", "GB", "resource_id"),
    ("seats", "weighted_sum", "seat", None),
    ("calls", "sum", "call", None),
]
TEMPERATURES = ("coldest", "warmest", "warmth", "weather")
REFERENCES = {
    "metrics": [
        {"metric": metric, "aggregation": aggregation, "unit": unit, "distinct_on": on, "allow_negative": "true"}
        for metric, aggregation, unit, on in METRICS
    ],
    "units": [
        {"unit": "GB", "base_unit": "MB", "factor": 1000},
        {"unit": "MB", "base_unit": "MB", "factor": 1},
    ],
    "skus": [{"sku": metric, "metric": metric} for metric, *_ in METRICS],
    "accounts": [
        {"account_id": "utc", "billing_timezone": "UTC", "currency_code": "USD"},
        {"account_id": "york", "billing_timezone": "America/New_York", "currency_code": "USD"},
        {"account_id": "kolkata", "billing_timezone": "Asia/Kolkata", "currency_code": "USD"},
    ],
}
UNITS = {metric: unit for metric, _, unit, _ in METRICS}


def event(metric: str, account_id: str, event_ts: str | datetime, quantity: object, **more: object) -> Row:
    when = event_ts if isinstance(event_ts, str) else event_ts.isoformat()
    return {
        "metric": metric, "account_id": account_id, "event_ts": f"{when}Z", "quantity": str(quantity),
        "unit": UNITS[metric], **more,
    }  # fmt: skip


def every_five_minutes(first: str, number: int) -> list[Row]:
    """Traffic of 1, 2, 3 … GB in windows of five minutes, one after the other; that of the second one comes in two events."""
    start = datetime.fromisoformat(first)
    whole = [event("traffic", "utc", start + n * timedelta(minutes=5), n + 1) for n in range(number) if n != 1]
    halves = [event("traffic", "utc", start + timedelta(minutes=5, seconds=s), 1) for s in (1, 2)]
    return whole + halves


EVENTS = [
    *(
        event(metric, "utc", *rest, **more)
        for metric in TEMPERATURES
        for *rest, more in [
            ("2026-10-01T10:00:00", 10, {}),
            ("2026-10-01T10:20:00", "-4.5", {}),
            ("2026-10-02T23:59:59.999999", 10, {}),
            # of the same instant: the one that was ingested later is the latest; sampled, it weighs four times in an average
            ("2026-10-05T08:00:00", 7, {"sampling_rate": "0.25", "ingested_ts": "2026-10-05T08:10:00Z"}),
            ("2026-10-05T08:00:00", 3, {"ingested_ts": "2026-10-05T08:05:00Z"}),
        ]
    ),
    event("warmth", "york", "2026-10-07T12:00:00", 1, sampling_rate="0.3"),
    event("warmth", "york", "2026-10-07T12:30:00", 4),
    *(event("warmth", "kolkata", f"2026-10-07T12:0{n}:00", -q) for n, q in enumerate((1, 2, 2))),
    # three odd sampling rates, whose least common denominator 38 digits can hold, but not its products
    *(
        event("warmth", "kolkata", "2026-11-07T12:00:00", 6, sampling_rate=rate)
        for rate in ("0.333333333", "0.142857143", "0.999999937", "0.777777773", "0.111111113")
    ),
    event("memory", "utc", "2026-10-07T12:00:00", 2),
    event("memory", "utc", "2026-10-08T12:00:00", 2500, unit="MB"),
    event("memory", "utc", "2026-10-09T12:00:00", "2.4"),
    *(event("users", "utc", f"2026-10-01T1{n}:00:00", 1, dims={"user": user}) for n, user in enumerate("aba")),
    event("users", "utc", "2026-10-01T15:00:00", 1),
    event("users", "utc", "2026-10-02T15:00:00", 1, user="a"),
    event("users", "utc", "2026-10-02T15:01:00", 1, dims={"user": "c"}, sampling_rate="0.1"),
    *(event("visits", "utc", f"2026-10-01T10:0{n}:00", 5) for n in range(3)),
    *every_five_minutes("2026-10-01T00:00:00", 450),
    *(
        event("traffic", "york", datetime(2026, 11, day, 12, 5 * n % 60) + timedelta(hours=5 * n // 60), n + 1)
        for day in (1, 2)
        for n in range(16)
    ),
    event("disk", "york", "2026-10-30T12:00:00", 24, resource_id="one"),
    event("disk", "york", "2026-10-31T00:00:00", 6, resource_id="two"),
    event("disk", "york", "2026-11-01T06:00:00", 100, resource_id="one", ingested_ts="2026-11-01T06:01:00Z"),
    event("disk", "york", "2026-11-01T06:00:00", 12, resource_id="one", ingested_ts="2026-11-01T06:02:00Z"),
    event("disk", "york", "2026-11-02T10:00:00", 0, resource_id="two"),
    event("seats", "kolkata", "2026-10-15T18:30:00", 10),
    event("seats", "kolkata", "2026-10-20T00:30:00", -4),
    event("seats", "utc", "2026-10-03T00:00:00", 5),
    event("seats", "utc", "2026-10-03T12:00:00", -5),
    event("seats", "utc", "2026-11-10T00:00:00", 3),
    event("seats", "utc", "2026-11-10T00:00:00", -3),
    *(event("calls", "utc", datetime(2026, 10, 1, 8) + timedelta(minutes=n), n + 1) for n in range(100)),
]

# quantity and number of events per period, account and metric
MONTHS = {
    ("2026-10", "utc", "coldest"): ("-4.5", 5),
    ("2026-10", "utc", "warmest"): ("10", 5),
    ("2026-10", "utc", "weather"): ("7", 5),
    ("2026-10", "utc", "warmth"): ("5.8125", 5),  # (10 − 4.5 + 10 + 4 · 7 + 3) / (1 + 1 + 1 + 4 + 1) = 46.5 / 8
    ("2026-10", "york", "warmth"): ("1.692307692", 2),  # (10/3 + 4) / (10/3 + 1) = 22/13
    ("2026-10", "kolkata", "warmth"): ("-1.666666667", 3),
    ("2026-11", "kolkata", "warmth"): ("6", 5),
    ("2026-10", "utc", "memory"): ("2.5", 3),
    ("2026-10", "utc", "users"): ("3", 6),  # a, b, c; an event that names no user is still an event
    ("2026-10", "utc", "visits"): ("3", 3),
    # 31 days have 8928 windows; ⌈0.95 · 8928⌉ = 8482, of which 8478 are without usage: the fourth of those with
    ("2026-10", "utc", "traffic"): ("4", 451),
    ("2026-11", "york", "traffic"): ("0", 32),
    # 24 GB for 16 + 24 hours, 6 GB for 4 + 24
    ("2026-10", "york", "disk"): ("1128", 2),
    # 721 hours at 12 GB, 2 hours at 12 GB more, 30 hours of 6 GB
    ("2026-11", "york", "disk"): ("8856", 3),
    ("2026-12", "york", "disk"): ("1380", 0),  # 12 GB from 1 December 05:00 to 6 December 00:00 UTC
    ("2026-10", "kolkata", "seats"): ("3.64516129", 2),  # (10 · 102 h + 6 · 282 h) / 744 h
    ("2026-11", "kolkata", "seats"): ("6", 0),
    ("2026-12", "kolkata", "seats"): ("1.012096774", 0),  # 6 · 125.5 h / 744 h
    ("2026-10", "utc", "seats"): ("0.080645161", 2),  # 5 · 12 h / 744 h
    ("2026-11", "utc", "seats"): ("0", 2),
    ("2026-10", "utc", "calls"): ("5050", 100),
}

DAYS = {
    ("2026-10-01", "utc", "coldest"): ("-4.5", 2),
    ("2026-10-02", "utc", "coldest"): ("10", 1),
    ("2026-10-01", "utc", "warmth"): ("2.75", 2),
    ("2026-10-05", "utc", "warmth"): ("6.2", 2),  # (4 · 7 + 3) / 5
    ("2026-10-05", "utc", "weather"): ("7", 2),
    ("2026-10-01", "utc", "users"): ("2", 4),
    ("2026-10-02", "utc", "users"): ("2", 2),
    ("2026-10-01", "utc", "traffic"): ("274", 289),  # all 288 windows have usage, 1 … 288
    ("2026-10-02", "utc", "traffic"): ("436", 162),  # 126 windows without, then 289 …: the 148th
    ("2026-11-01", "york", "traffic"): ("1", 16),  # 300 windows: the 285th, after 284 without usage
    ("2026-11-02", "york", "traffic"): ("2", 16),  # 288 windows: the 274th, after 272
    ("2026-10-30", "york", "disk"): ("408", 2),  # 24 GB · 16 h + 6 GB · 4 h
    ("2026-10-31", "york", "disk"): ("720", 0),
    ("2026-11-01", "york", "disk"): ("474", 2),  # 30 GB · 2 h + 18 GB · 23 h
    ("2026-11-02", "york", "disk"): ("318", 1),  # 18 GB · 5 h + 12 GB · 19 h
    ("2026-11-03", "york", "disk"): ("288", 0),
    ("2026-12-05", "york", "disk"): ("228", 0),  # to 00:00 UTC: 19 hours
    ("2026-10-20", "kolkata", "seats"): ("0.225806452", 1),  # (10 · 6 h + 6 · 18 h) / 744 h
    ("2026-12-06", "kolkata", "seats"): ("0.044354839", 0),  # 6 · 5.5 h / 744 h
}

HOURS = {
    ("2026-10-01 10:00", "2026-10-01", "utc", "warmth"): ("2.75", 2),
    ("2026-10-01 00:00", "2026-10-01", "utc", "traffic"): ("12", 13),
    ("2026-10-02 13:00", "2026-10-02", "utc", "traffic"): ("450", 6),
    ("2026-10-15 18:00", "2026-10-16", "kolkata", "seats"): ("0.00672043", 1),  # 10 · 0.5 h / 744 h
    ("2026-10-20 00:00", "2026-10-20", "kolkata", "seats"): ("0.010752688", 1),  # (10 · 0.5 h + 6 · 0.5 h) / 744 h
    ("2026-10-31 18:00", "2026-10-31", "kolkata", "seats"): ("0.004032258", 0),  # 6 · 0.5 h / 744 h
    ("2026-10-31 18:00", "2026-11-01", "kolkata", "seats"): ("0.004166667", 0),  # 6 · 0.5 h / 720 h
    ("2026-11-01 06:00", "2026-11-01", "york", "disk"): ("18", 2),
}

# the minutes with usage hold 1 … 100, and 1 … 450: the ⌈0.5 n⌉-th, ⌈0.95 n⌉-th, ⌈0.99 n⌉-th, the greatest
MINUTES = {"calls": (50, 95, 99, 100), "traffic": (225, 428, 446, 450)}


@pytest.fixture(scope="module")
def nightly(tmp_path_factory: pytest.TempPathFactory) -> SmallHouse:
    """Every second event lands late; builds between landings, one of them because time went on."""
    house = SmallHouse(tmp_path_factory.mktemp("aggregations"), **REFERENCES)
    early = [one for one in EVENTS if one["event_ts"] < "2026-11-03"][::2]
    house.land("2026-11-03 00:00", *early)
    house.build("2026-10-20 06:00", test=False)
    house.build("2026-11-03 12:00", test=False)
    house.build("2026-11-20 00:00", test=False)
    house.land("2026-12-05 00:00", *(one for one in EVENTS if not any(one is other for other in early)))
    house.build("2026-12-06 00:00")
    return house


def shown(house: SmallHouse, mart: str, windows: str) -> dict[tuple, tuple[Decimal, int]]:
    rows = house.rows(f"select {windows}, account_id, metric, quantity, event_count from usage.{mart}")
    return {row[:-2]: row[-2:] for row in rows}


def expected(table: dict[tuple, tuple[str, int]]) -> dict[tuple, tuple[Decimal, int]]:
    return {key: (Decimal(quantity), events) for key, (quantity, events) in table.items()}


def test_months(nightly: SmallHouse) -> None:
    assert shown(nightly, "usage_monthly", "billing_period") == expected(MONTHS)


@pytest.mark.parametrize(("key", "figure"), DAYS.items(), ids=map(" ".join, DAYS))
def test_days(nightly: SmallHouse, key: tuple, figure: tuple) -> None:
    assert shown(nightly, "usage_daily", "billing_date::varchar")[key] == (Decimal(figure[0]), figure[1])


@pytest.mark.parametrize(("key", "figure"), HOURS.items(), ids=map(" ".join, HOURS))
def test_hours(nightly: SmallHouse, key: tuple, figure: tuple) -> None:
    found = shown(nightly, "usage_hourly", "strftime(usage_hour, '%Y-%m-%d %H:%M'), billing_date::varchar")
    assert found[key] == (Decimal(figure[0]), figure[1])


def test_a_level_that_is_not_zero_has_a_row_for_every_day_and_hour(nightly: SmallHouse) -> None:
    days = nightly.rows("select count(*) from usage.usage_daily where metric = 'disk' and billing_date >= '2026-11-01'")
    hours = nightly.rows(
        "select count(*) from usage.usage_hourly where metric = 'disk' and billing_date = '2026-11-01'"
    )
    assert (days, hours) == ([(35,)], [(25,)])


def test_a_level_of_zero_has_rows_only_where_it_has_events(nightly: SmallHouse) -> None:
    found = nightly.rows(
        "select billing_date::varchar, quantity from usage.usage_daily where metric = 'seats' and account_id = 'utc' order by 1"
    )
    assert found == [("2026-10-03", Decimal("0.080645161")), ("2026-11-10", Decimal(0))]


def test_hours_of_an_integral_sum_to_its_days_but_for_their_own_rounding(nightly: SmallHouse) -> None:
    [(worst,)] = nightly.rows("""
        select max(abs(hours.quantity - days.quantity))
        from (
            select billing_date, account_id, metric, sum(quantity) as quantity from usage.usage_hourly where metric in ('disk', 'seats') group by all
        ) as hours
        full outer join (select * from usage.usage_daily where metric in ('disk', 'seats')) as days using (billing_date, account_id, metric)
    """)
    assert worst <= Decimal("0.000000013")


@pytest.mark.parametrize(("metric", "figures"), MINUTES.items())
def test_percentiles_per_minute(nightly: SmallHouse, metric: str, figures: tuple[int, ...]) -> None:
    [found] = nightly.rows(
        "select p50_per_minute, p95_per_minute, p99_per_minute, peak_per_minute from usage.usage_monthly "
        "where metric = ? and account_id = 'utc'",
        metric,
    )
    assert found == figures


def test_minutes_say_nothing_about_what_is_not_summed(nightly: SmallHouse) -> None:
    found = nightly.rows(
        "select distinct metric from usage.usage_monthly where coalesce(peak_per_minute, p50_per_minute, p95_per_minute, p99_per_minute) is not null"
    )
    assert sorted(found) == [("calls",), ("traffic",)]


def test_units(nightly: SmallHouse) -> None:
    found = dict(nightly.rows("select distinct metric, unit from usage.usage_monthly"))
    assert found == UNITS | {"disk": "GB-hour"}


def test_lines_hold_the_months_figure(nightly: SmallHouse) -> None:
    """Nothing has a price here, so everything stands in the queue: there, too, the days' shares sum to the month to the last digit."""
    found = nightly.rows(
        "select billing_period, account_id, metric, sum(quantity) from billing.unpriced_usage group by all order by all"
    )
    assert {row[:3]: row[3] for row in found} == {key: quantity for key, (quantity, _) in expected(MONTHS).items()}


def test_figures_of_a_whole_period_stand_on_one_day_of_it(nightly: SmallHouse) -> None:
    found = nightly.rows(
        "select metric, first_date::varchar, last_date::varchar from billing.unpriced_usage "
        "where account_id = 'utc' and billing_period = '2026-10' order by 1"
    )
    assert {metric: (first, last) for metric, first, last in found} == {
        "coldest": ("2026-10-01", "2026-10-01"),
        "warmest": ("2026-10-01", "2026-10-01"),  # the first that reached it, not the second
        "weather": ("2026-10-05", "2026-10-05"),
        "warmth": ("2026-10-05", "2026-10-05"),
        "memory": ("2026-10-08", "2026-10-08"),
        "users": ("2026-10-02", "2026-10-02"),
        "visits": ("2026-10-01", "2026-10-01"),
        "traffic": ("2026-10-02", "2026-10-02"),
        "seats": ("2026-10-03", "2026-10-03"),
        "calls": ("2026-10-01", "2026-10-01"),
    }


def test_the_nightly_state_is_that_of_a_full_rebuild(nightly: SmallHouse, tmp_path: Path) -> None:
    rebuilt = nightly.copied(tmp_path)
    rebuilt.build("2026-12-06 00:00", full_refresh=True, test=False)
    assert state(rebuilt.settings) == state(nightly.settings)

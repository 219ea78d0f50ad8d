"""The oracle's aggregations of a window's own events against figures worked out by hand, and how they are priced."""

from datetime import date, datetime
from decimal import Decimal

import pytest

from tests.unit.oracle.test_oracle_corrections import retract
from tests.unit.oracle.test_oracle_slices import PLANS, PRICES, TIERS, on

D = Decimal
METRICS = ("metric", "aggregation", "unit", "allow_negative", "default_sku", "distinct_on")
SUMMED_ONLY = ("peak_per_minute", "p50_per_minute", "p95_per_minute", "p99_per_minute")


def measured_as(aggregation, unit="request", distinct_on="", sku="api"):
    """The metric `calls` with another aggregation."""
    return {"metrics": [METRICS, ("calls", aggregation, unit, "true", sku, distinct_on)]}


def figures(usages):
    return [(usage.quantity, usage.event_count) for _, usage in sorted(usages.items())]


FOUR = [
    {"event_ts": "2026-10-10T12:00:00Z", "quantity": "3"},
    {"event_ts": "2026-10-10T12:30:00Z", "quantity": "8"},
    {"event_ts": "2026-10-11T01:00:00Z", "quantity": "1"},
    {"event_ts": "2026-11-01T00:00:00Z", "quantity": "5"},
]


@pytest.mark.parametrize(
    ("aggregation", "hours", "days", "months"),
    [
        ("sum", [11, 1, 5], [11, 1, 5], [12, 5]),
        ("count", [2, 1, 1], [2, 1, 1], [3, 1]),
        ("max", [8, 1, 5], [8, 1, 5], [8, 5]),
        ("min", [3, 1, 5], [3, 1, 5], [1, 5]),
        ("avg", [D("5.5"), 1, 5], [D("5.5"), 1, 5], [4, 5]),
        ("latest", [8, 1, 5], [8, 1, 5], [1, 5]),
        ("count_distinct", [2, 1, 1], [2, 1, 1], [3, 1]),
    ],
)
def test_every_window_is_a_figure_of_its_own_events(house, aggregation, hours, days, months):
    house.land(*FOUR, **measured_as(aggregation))
    result = house.result
    assert figures(result.usage_hourly) == list(zip(hours, [2, 1, 1], strict=True))
    assert figures(result.usage_daily) == list(zip(days, [2, 1, 1], strict=True))
    assert figures(result.usage_monthly) == list(zip(months, [3, 1], strict=True))
    assert {usage.unit for usage in result.usage_monthly.values()} == {"request"}


def test_only_sums_have_figures_per_minute_and_a_variance(house):
    for aggregation in ("max", "min", "avg", "latest", "count_distinct", "time_weighted", "weighted_sum"):
        house.land({"sampling_rate": "0.5"}, **measured_as(aggregation))
        for usage in (*house.result.usage_daily.values(), *house.result.usage_monthly.values()):
            assert [getattr(usage, name) for name in SUMMED_ONLY] == [None] * 4
            assert usage.quantity_variance == 0


def test_percentiles_per_minute_are_nearest_ranks_of_the_minutes_with_usage(house):
    # 200 minutes with 1 … 200: the 100th, 190th, 198th and 200th smallest
    start = 1_791_633_600_000  # 2026-10-10T12:00:00Z
    house.land(*({"event_ts": start + 60_000 * n, "quantity": str(n + 1)} for n in range(200)))
    (usage,) = house.result.usage_monthly.values()
    assert [getattr(usage, name) for name in SUMMED_ONLY] == [200, 100, 190, 198]


# --- units and sampling -----------------------------------------------------------------------------------------------

UNITS = [("unit", "base_unit", "factor"), ("request", "request", "3"), ("third", "request", "1")]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("max", D("3.333333333")),  # 10 thirds, rounded once; the sampled one is taken as it is
        ("min", D("0.666666667")),
        ("latest", D("0.666666667")),
        ("count_distinct", 2),
        # weights 1 and round(1 ÷ 0.3) = 3.333333333; quantities 3.333333333 and round(2 ÷ 3 ÷ 0.3) = 2.222222222:
        # 5.555555555 ÷ 4.333333333 = 1.28205128202 …
        ("avg", D("1.282051282")),
    ],
)
def test_events_enter_in_the_metric_s_unit(house, aggregation, expected):
    house.land(
        on("10-10", "10", unit="third"),
        on("10-11", "2", unit="third", sampling_rate="0.3"),
        units=UNITS,
        **measured_as(aggregation),
    )
    assert [usage.quantity for usage in house.result.usage_monthly.values()] == [expected]


@pytest.mark.parametrize("aggregation", ["count", "count_distinct", "max"])
def test_a_unit_that_does_not_convert_is_held(house, aggregation):
    house.land({"unit": "GB"}, **measured_as(aggregation))
    assert house.result.batches[1].held == 1 and house.result.usage_monthly == {}


def test_an_average_is_the_sum_s_figure_over_the_count_s(house):
    # 3333333.333333333 ÷ (3.333333333 + 1), each rounded per event; unrounded it would be 769230.769230769
    house.land(on("10-10", "1000000", sampling_rate="0.3"), on("10-11", "0"), **measured_as("avg"))
    assert figures(house.result.usage_monthly) == [(D("769230.769289941"), 2)]


@pytest.mark.parametrize(
    ("aggregation", "queued"),
    [
        *[("sum", 10), ("avg", 10), ("p95_per_5min", 10), ("count", 3), ("count_distinct", 3)],
        *[("max", 7), ("min", 7), ("latest", 7), ("time_weighted", 7), ("weighted_sum", 7)],
    ],
)
def test_nobody_s_usage_is_queued_as_a_sum(house, aggregation, queued):
    house.land(
        {"account_id": None, "quantity": "3", "sampling_rate": "0.5"},
        {"account_id": None, "quantity": "4"},
        **measured_as(aggregation),
    )
    assert figures(house.result.unattributed) == [(queued, 2)]


# --- latest, distinct, percentile of five minutes ---------------------------------------------------------------------


def test_the_latest_is_by_event_then_ingestion_then_landing(house):
    same = {"event_ts": "2026-10-10T12:00:00Z"}
    house.land(
        same | {"quantity": "1", "ingested_ts": "2026-10-10T12:00:02Z"},
        same | {"quantity": "2", "ingested_ts": "2026-10-10T12:00:03Z"},
        {"event_ts": "2026-10-10T11:59:59Z", "quantity": "3", "ingested_ts": "2026-10-10T13:00:00Z"},
        **measured_as("latest"),
    )
    assert figures(house.result.usage_monthly) == [(2, 3)]
    house.land(same | {"quantity": "4", "ingested_ts": "2026-10-10T12:00:03Z"})
    assert figures(house.result.usage_monthly) == [(4, 4)]
    house.land(same | {"quantity": "5"})  # ingested when it landed
    house.land(same | {"quantity": "6", "ingested_ts": "2026-10-10T12:00:02Z"})
    assert figures(house.result.usage_monthly) == [(5, 6)]


@pytest.mark.parametrize(
    ("distinct_on", "expected"),
    [("", 5), ("event_id", 5), ("api_key", 2), ("namespace", 1), ("resource_id", 0), ("user", 3), ("team", 1)],
)
def test_distinct_values_of_a_field(house, distinct_on, expected):
    house.land(
        {"api_key": "a", "namespace": "n", "dims": {"user": "1"}, "team": "x"},
        {"api_key": "b", "dims": {"user": 1}, "user": "other"},
        {"api_key": "b", "dims": {"user": "Ann"}, "team": None},
        {"api_key": "b", "dims": {"user": None}, "user": "Ann"},
        {"dims": {"user": True}},
        **measured_as("count_distinct", distinct_on=distinct_on),
    )
    assert figures(house.result.usage_monthly) == [(expected, 5)]


def test_event_ids_are_distinct_whatever_the_producer(house):
    house.land({"event_id": "a"}, {"event_id": "a", "producer": "other"}, **measured_as("count_distinct"))
    assert figures(house.result.usage_monthly) == [(1, 2)]


def five_minutes(*windows, account_id="acme", start=1_791_590_400_000):
    """Two events of 1 and n − 1 in each of the given windows of 2026-10-10 (UTC), n being the window's number."""
    for number in windows:
        moment = start + 300_000 * number
        yield {"account_id": account_id, "event_ts": moment, "quantity": str(number - 1)}
        yield {"account_id": account_id, "event_ts": moment + 299_999, "quantity": "1"}


def test_p95_per_5min_is_over_all_windows_of_the_window(house):
    # 288 windows a day: the 274th smallest. 12 windows of an hour: the greatest. 8928 a month: the 8482nd.
    house.land(*five_minutes(*range(1, 21)), **measured_as("p95_per_5min"))
    result = house.result
    # 268 zeros, then 1 … 20: the 274th is 6
    assert figures(result.usage_daily) == [(6, 40)]
    assert figures(result.usage_hourly) == [(11, 22), (20, 18)]
    assert figures(result.usage_monthly) == [(0, 40)]
    (month,) = result.usage_monthly.values()
    assert (month.unit, month.peak_per_minute) == ("request", 19)


@pytest.mark.parametrize(
    ("account_id", "start", "expected"),
    [
        ("kiwi", "2026-09-26T12:00:00Z", 7),  # 23 h: 276 windows, the 263rd; 256 zeros before 1 … 20
        ("york", "2026-11-01T04:00:00Z", 5),  # 25 h: 300 windows, the 285th; 280 zeros
        ("acme", "2026-10-10T00:00:00Z", 6),
    ],
)
def test_a_day_of_23_hours_has_fewer_windows(house, account_id, start, expected):
    moment = int(datetime.fromisoformat(start).timestamp() * 1000)
    house.land(
        *five_minutes(*range(1, 21), account_id=account_id, start=moment),
        **measured_as("p95_per_5min"),
    )
    assert figures(house.result.usage_daily) == [(expected, 40)]


def test_p95_per_5min_weighs_sampled_events(house):
    house.land(on("10-10", "3", sampling_rate="0.25"), **measured_as("p95_per_5min"))
    ((_, usage),) = house.result.usage_hourly.items()
    assert (usage.quantity, usage.quantity_variance) == (12, 108)


# --- corrections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("max", 3), ("min", 1), ("avg", 2), ("latest", 1), ("count_distinct", 2), ("p95_per_5min", 0)],
)
def test_what_is_taken_back_is_no_event(house, aggregation, expected):
    house.land(FOUR[0], FOUR[1] | {"event_id": "a"}, FOUR[2], **measured_as(aggregation))
    house.land(retract("a"))
    assert figures(house.result.usage_monthly) == [(expected, 2)]


# --- one figure of a period is priced on one date ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aggregation", "quantity", "is_pro"),
    [
        ("max", 8, False),  # reached on the 10th, again on the 20th
        ("min", 2, True),  # reached on the 20th
        ("latest", 8, True),
        ("avg", 5, True),
        ("count_distinct", 4, True),
    ],
)
def test_the_date_whose_price_applies(house, aggregation, quantity, is_pro):
    plans = [PLANS, ("acme", "basic", "", "2026-10-15"), ("acme", "pro", "2026-10-15", "")]
    prices = [PRICES, ("b", "basic", "api", "*", "USD", "per_unit", "", "", "")]
    prices += [("p", "pro", "api", "*", "USD", "per_unit", "", "", "")]
    tiers = [TIERS, ("b", "1", "", "1", "", ""), ("p", "1", "", "10", "", "")]
    events = (on("10-10", "8"), on("10-10", "2.000000001"), on("10-20", "1.999999999"))
    house.land(
        *events,
        {"event_ts": "2026-10-20T13:00:00Z", "quantity": "8"},
        account_plans=plans,
        prices=prices,
        price_tiers=tiers,
        **measured_as(aggregation),
    )
    quantity = D("1.999999999") if aggregation == "min" else quantity
    (line,) = house.result.lines.values()
    assert (line.price_id, line.slice_from) == (("p", date(2026, 10, 15)) if is_pro else ("b", None))
    assert (line.quantity, line.amount) == (quantity, round(quantity * (10 if is_pro else 1), 2))


def test_what_lands_late_adjusts_the_figure_of_the_month(house):
    house.land(on("10-10", "50"), on("11-05", "1"), **measured_as("max"))
    house.close("2026-10")
    house.land(on("10-12", "40"), on("10-11", "70"))
    result = house.result
    (adjustment,) = result.adjustments
    assert (adjustment.quantity, adjustment.amount) == (20, 2)
    assert figures(result.late_usage) == [(20, 2)]
    assert figures(result.usage_monthly) == [(50, 1), (1, 1)]


def test_one_figure_without_a_price_is_unpriced_as_a_whole(house):
    house.land(on("10-10", "50"), on("10-12", "40"), account_plans=[PLANS], **measured_as("max"))
    assert figures(house.result.unpriced) == [(50, 2)]

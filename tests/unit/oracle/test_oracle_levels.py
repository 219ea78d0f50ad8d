"""The oracle's levels against integrals worked out by hand: carried, set, changed, integrated until now, and priced."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.aggregating import Entry
from tests.oracle.levels import Level
from tests.unit.oracle.test_oracle_aggregations import figures, measured_as
from tests.unit.oracle.test_oracle_corrections import replace, retract
from tests.unit.oracle.test_oracle_slices import DISCOUNTS, PLANS, PRICES, TIERS

D = Decimal
OCTOBER = 31 * 24  # hours
SET, CHANGED = "time_weighted", "weighted_sum"


def at(moment, quantity, **fields):
    return {"event_ts": f"2026-{moment}:00Z", "quantity": quantity} | fields


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def by_month(result, figure="quantity"):
    return {key.billing_period: getattr(usage, figure) for key, usage in result.usage_monthly.items()}


def as_of(house, *parts):
    return house.result_as_of(utc(*parts))


# --- set and changed levels -------------------------------------------------------------------------------------------


def test_a_set_level_is_integrated_in_unit_hours(house):
    # 3 from 12:00 to 13:30, then 8 until 16:00 the same day, then 0: 4.5 + 20
    house.land(at("10-10T12:00", "3"), at("10-10T13:30", "8"), at("10-10T16:00", "0"), **measured_as(SET))
    result = house.result
    hours = {key.usage_hour.hour: usage.quantity for key, usage in result.usage_hourly.items()}
    assert hours == {12: 3, 13: D("5.5"), 14: 8, 15: 8, 16: 0}
    assert figures(result.usage_daily) == figures(result.usage_monthly) == [(D("24.5"), 3)]
    assert {usage.unit for usage in result.usage_monthly.values()} == {"request-hour"}


def test_changes_add_up_to_a_level_whose_average_over_the_period_is_the_figure(house):
    # 4 from the 11th on, 10 from the 21st on: (10 × 4 + 11 × 10) days ÷ 31 days
    house.land(at("10-11T00:00", "4"), at("10-21T00:00", "6"), **measured_as(CHANGED))
    result = as_of(house, 2026, 11, 1)
    assert by_month(result) == {"2026-10": D("4.838709677")}
    days = {key.billing_date.day: usage.quantity for key, usage in result.usage_daily.items()}
    assert days == {day: D("0.129032258") if day < 21 else D("0.322580645") for day in range(11, 32)}
    assert result.usage_hourly[next(iter(result.usage_hourly))].quantity == D("0.005376344")  # 4 ÷ 744
    assert {usage.unit for usage in result.usage_monthly.values()} == {"request"}


def test_the_order_of_landing_does_not_matter_for_levels(house):
    house.land(at("10-10T16:00", "0"), at("10-10T12:00", "3"), **measured_as(SET))
    house.land(at("10-10T13:30", "8"))
    assert by_month(house.result) == {"2026-10": D("24.5")}


def test_of_one_instant_the_last_ingested_sets_the_level(house):
    stop = at("10-10T13:00", "0")
    house.land(
        at("10-10T12:00", "3", ingested_ts="2026-10-10T12:00:02Z"),
        at("10-10T12:00", "5", ingested_ts="2026-10-10T12:00:01Z"),
        stop,
        **measured_as(SET),
    )
    assert by_month(house.result) == {"2026-10": 3}


def test_levels_are_exact_to_the_microsecond(house):
    # 1 for 3.6 ms = a millionth of an hour; 0.5 µs-hours would be lost in whole seconds
    house.land(
        {"event_ts": "2026-10-10T12:00:00.000001Z", "quantity": "1"},
        {"event_ts": "2026-10-10T12:00:00.003601Z", "quantity": "0"},
        **measured_as(SET),
    )
    assert by_month(house.result) == {"2026-10": D("0.000001")}


@pytest.mark.parametrize(("aggregation", "expected"), [(SET, 24), (CHANGED, D("0.032258065"))])  # 24; 24 ÷ 744
def test_sampling_does_not_weigh_a_level(house, aggregation, expected):
    stop = at("10-11T00:00", "0" if aggregation == SET else "-1")
    house.land(at("10-10T00:00", "1", sampling_rate="0.1"), stop, **measured_as(aggregation))
    assert by_month(house.result) == {"2026-10": expected}


def test_a_level_per_value_of_the_field_that_tells_apart(house):
    # disk a: 3 from 12:00, 1 from 14:00; disk b: 2 from 13:00; without a disk: 10 from 14:00; all until 15:00
    house.land(
        at("10-10T12:00", "3", dims={"disk": "a"}),
        at("10-10T13:00", "2", dims={"disk": "b"}),
        at("10-10T14:00", "1", dims={"disk": "a"}),
        at("10-10T14:00", "10"),
        **measured_as(SET, distinct_on="disk"),
    )
    result = as_of(house, 2026, 10, 10, 15)
    assert figures(result.usage_hourly) == [(3, 1), (5, 1), (13, 2)]


# --- carrying ---------------------------------------------------------------------------------------------------------


def test_a_level_is_carried_over_hours_days_and_months_until_now(house):
    house.land(at("09-30T22:00", "2"), **measured_as(SET))
    result = as_of(house, 2026, 11, 1, 1, 30)
    assert by_month(result) == {"2026-09": 4, "2026-10": 2 * OCTOBER, "2026-11": 3}
    assert by_month(result, "event_count") == {"2026-09": 1, "2026-10": 0, "2026-11": 0}
    assert len(result.usage_daily) == 1 + 31 + 1 and len(result.usage_hourly) == 2 + OCTOBER + 2
    assert result.usage_hourly[max(result.usage_hourly)].quantity == 1  # half an hour
    assert as_of(house, 2026, 11, 1).usage_monthly.keys() == {
        key for key in result.usage_monthly if key.billing_period < "2026-11"
    }


def test_without_a_moment_levels_run_to_the_end_of_the_month_of_the_last_landing(house):
    house.land(at("10-31T23:00", "1"), **measured_as(SET))  # lands in December
    assert by_month(house.result) == {"2026-10": 1, "2026-11": 30 * 24, "2026-12": OCTOBER}


def test_a_level_of_zero_without_an_event_has_no_row(house):
    house.land(at("10-10T12:00", "5"), at("10-10T12:30", "-5"), at("12-01T00:00", "1"), **measured_as(CHANGED))
    result = as_of(house, 2026, 12, 2)
    assert by_month(result, "event_count") == {"2026-10": 2, "2026-12": 1}
    assert [key.billing_date for key in result.usage_daily] == [date(2026, 10, 10), date(2026, 12, 1)]


def test_levels_that_cancel_out_have_no_row(house):
    house.land(
        at("10-10T12:00", "5", dims={"disk": "a"}),
        at("10-10T12:00", "-5", dims={"disk": "b"}),
        **measured_as(CHANGED, distinct_on="disk"),
    )
    assert len(as_of(house, 2026, 11, 5).usage_daily) == 1


def test_what_happens_after_now_has_happened_but_sets_no_level_yet(house):
    house.land(at("10-10T12:00", "5"), at("10-10T20:00", "7"), at("10-12T00:00", "1"), **measured_as(SET))
    result = as_of(house, 2026, 10, 10, 18)
    assert [(key.billing_date.day, usage.quantity) for key, usage in result.usage_daily.items()] == [(10, 30), (12, 0)]


@pytest.mark.parametrize(
    ("account_id", "month", "hours"),
    [("kiwi", "2026-09", 719), ("york", "2026-11", 721), ("asha", "2026-10", 744)],
)
def test_the_length_of_a_period_is_its_true_one(house, account_id, month, hours):
    house.land(at("08-01T00:00", "1", account_id=account_id), **measured_as(SET))
    assert by_month(as_of(house, 2026, 12, 5))[month] == hours
    house.land(**measured_as(CHANGED))
    assert by_month(as_of(house, 2026, 12, 5))[month] == 1


def test_an_hour_that_midnight_cuts_carries_its_part(house):
    # Kolkata's midnight is 18:30 UTC
    house.land(at("10-10T18:00", "2", account_id="asha"), at("10-10T19:00", "0", account_id="asha"))
    house.land(**measured_as(SET))
    found = {
        (key.usage_hour.hour, key.billing_date.day): usage.quantity for key, usage in house.result.usage_hourly.items()
    }
    assert found == {(18, 10): 1, (18, 11): 1, (19, 11): 0}


# --- corrections and late events --------------------------------------------------------------------------------------


def test_a_correction_moves_the_level_from_its_event_on(house):
    house.land(at("10-10T12:00", "3", event_id="a"), at("10-10T14:00", "5", event_id="b"), at("10-10T15:00", "0"))
    house.land(**measured_as(SET))
    assert by_month(house.result) == {"2026-10": 11}
    house.land(retract("b"))
    assert by_month(house.result) == {"2026-10": 9}
    house.land(replace("a", event_ts="2026-10-10T13:00:00Z", quantity="1"))
    assert by_month(house.result) == {"2026-10": 2}


def test_retracting_everything_leaves_nothing(house):
    house.land(at("10-10T12:00", "3", event_id="a"), **measured_as(SET))
    house.land(retract("a"))
    result = house.result
    assert (result.usage_hourly, result.usage_daily, result.usage_monthly, result.lines) == ({}, {}, {}, {})


def test_a_late_event_adjusts_every_closed_period_that_it_carries_into(house):
    house.land(at("09-30T00:00", "10"), **measured_as(SET))
    house.close("2026-09")
    house.close("2026-10")
    house.land(at("09-30T12:00", "20"))
    result = as_of(house, 2026, 12, 4)
    assert by_month(result) == {"2026-09": 240, "2026-10": 7440, "2026-11": 14400, "2026-12": 1440}
    # 12 hours and a month of 10 more, at 0.10
    assert {line.origin_period: (line.quantity, line.amount) for line in result.adjustments} == {
        "2026-09": (120, 12),
        "2026-10": (7440, 744),
    }
    assert {line.billing_period for line in result.adjustments} == {"2026-11"}
    late = {key.billing_period: (usage.quantity, usage.event_count) for key, usage in result.late_usage.items()}
    assert late == {"2026-09": (120, 1), "2026-10": (7440, 0)}


# --- pricing ----------------------------------------------------------------------------------------------------------


def test_a_month_without_an_event_is_billed(house):
    house.land(at("09-01T00:00", "1"), **measured_as(SET))
    lines = as_of(house, 2026, 11, 2).lines.values()
    assert {line.billing_period: (line.quantity, line.unit, line.amount) for line in lines} == {
        "2026-09": (720, "request-hour", 72),
        "2026-10": (744, "request-hour", D("74.4")),
        "2026-11": (24, "request-hour", D("2.4")),
    }


@pytest.mark.parametrize("aggregation", [SET, CHANGED])
def test_slices_sum_up_to_the_month_exactly(house, aggregation):
    plans = [PLANS, ("acme", "basic", "", "2026-10-12"), ("acme", "pro", "2026-10-12", "2026-10-22")]
    plans += [("acme", "basic", "2026-10-22", "")]
    prices = [PRICES, ("b", "basic", "api", "*", "USD", "per_unit", "", "", "")]
    prices += [("p", "pro", "api", "*", "USD", "per_unit", "", "", "")]
    tiers = [TIERS, ("b", "1", "", "1", "", ""), ("p", "1", "", "1", "", "")]
    house.land(
        {"event_ts": "2026-10-02T00:00:00.000007Z", "quantity": "0.333333333"},
        {"event_ts": "2026-10-15T07:01:02.123456Z", "quantity": "1.000000001"},
        account_plans=plans,
        prices=prices,
        price_tiers=tiers,
        discounts=[DISCOUNTS, ("d", "acme", "*", "10", "2026-10-05", "2026-10-27")],
        **measured_as(aggregation),
    )
    result = as_of(house, 2026, 11, 1)
    starts = {line.slice_from and line.slice_from.day: line for line in result.lines.values()}
    assert starts.keys() == {None, 5, 12, 22, 27}
    assert {"2026-10": sum(line.quantity for line in starts.values())} == by_month(result)
    # the first slice, 3 days but 7 µs of 0.333333333
    seconds = 3 * 86400 - D("0.000007")
    share = D("0.333333333") * seconds / (3600 if aggregation == SET else OCTOBER * 3600)
    assert starts[None].quantity == round(share, 9)


# --- laws -------------------------------------------------------------------------------------------------------------


class At:
    """An event as far as a level looks at it."""

    def __init__(self, second, number):
        self.event_ts = utc(2026, 10, 10) + timedelta(seconds=second)
        self.order = (self.event_ts, number)


@st.composite
def levels(draw):
    steps = draw(st.lists(st.tuples(st.integers(0, 1000), st.integers(-9, 9), st.sampled_from("ab")), min_size=1))
    entries = [
        Entry(At(second, number), date(2026, 10, 10), D(quantity), D(0), D(1), disk)
        for number, (second, quantity, disk) in enumerate(steps)
    ]
    return Level(draw(st.sampled_from([SET, CHANGED])), entries)


@given(level=levels(), cuts=st.lists(st.integers(-100, 1200), min_size=3, max_size=3).map(sorted))
def test_splitting_a_window_adds_up(level, cuts):
    start, middle, end = (utc(2026, 10, 10) + timedelta(seconds=cut) for cut in cuts)
    assert level.integral(start, end) == level.integral(start, middle) + level.integral(middle, end)


@given(level=levels())
def test_an_integral_is_the_sum_over_seconds_of_the_level_then(level):
    start = utc(2026, 10, 10)
    naive = sum(level.at(start + timedelta(seconds=second)) for second in range(1001))
    assert level.integral(start, start + timedelta(seconds=1001)) * 10**9 == naive

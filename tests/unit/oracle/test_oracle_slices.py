"""The oracle's slices and discounts against figures worked out by hand: what runs on across slices, and what is taken off."""

from datetime import date
from decimal import Decimal

import pytest

from tests.oracle.exact import exact_arithmetic
from tests.oracle.rating import rate_slices

D = Decimal
DISCOUNTS = ("discount_id", "account_id", "sku", "percent", "valid_from", "valid_to")
PRICES = ("price_id", "plan_id", "sku", "region", "currency_code", "model", "free_units", "package_size", "valid_from")
TIERS = ("price_id", "tier_number", "up_to", "unit_price", "flat_fee", "rate_percent")
PLANS = ("account_id", "plan_id", "valid_from", "valid_to")
ACCOUNTS = ("account_id", "parent_account_id", "currency_code")
OCTOBER = lambda day: date(2026, 10, day)  # noqa: E731


def on(day, quantity="10", **fields):
    return {"event_ts": f"2026-{day}T12:00:00Z", "quantity": quantity} | fields


def amounts(result):
    """slice_from → the precise amount of the usage line."""
    return {line.slice_from: line.precise_amount for line in result.lines.values()}


def discounts(result):
    return [(line.reference_id, line.slice_from, line.precise_amount) for line in result.discounts]


# --- what the slices of one price charge ------------------------------------------------------------------------------


def tier(number, up_to=None, unit_price=None, flat_fee=None, rate_percent=None):
    figures = {"up_to": up_to, "unit_price": unit_price, "flat_fee": flat_fee, "rate_percent": rate_percent}
    return {"tier_number": number} | {name: None if value is None else D(value) for name, value in figures.items()}


def sliced(model, tiers, *quantities, free_units="0", package_size=None):
    """Per slice: tier → (quantity, flat fee, amount)."""
    price = {"model": model, "free_units": D(free_units), "package_size": package_size and D(package_size)}
    with exact_arithmetic():
        found = rate_slices(price, tiers, [D(quantity) for quantity in quantities])
    return [{one.tier_number: (one.quantity, one.flat_fee, one.amount) for one in charges} for charges in found]


TWO_TIERS = [tier(1, "10", "1", "3"), tier(2, None, "0.5", "2")]


def test_graduated_tiers_and_free_units_run_on():
    # 5 free. Until the end of slice 1: 12 − 5 = 7, all in tier 1. Until the end of slice 2: 22 − 5 = 17: 10 in tier 1
    # (3 of them new), 7 in tier 2, whose fee is due now. Slice 3: 3 more in tier 2, no fee again.
    assert sliced("graduated", TWO_TIERS, "12", "10", "3", free_units="5") == [
        {1: (7, 3, 10)},
        {1: (3, 0, 3), 2: (7, 2, D("5.5"))},
        {2: (3, 0, D("1.5"))},
    ]


def test_the_first_fee_is_charged_in_the_first_slice_even_when_all_its_units_are_free():
    # 5 of 5 free: 0 × 1 + 3; then 4 × 1
    assert sliced("graduated", TWO_TIERS, "5", "4", free_units="5") == [{1: (0, 3, 3)}, {1: (4, 0, 4)}]


def test_volume_prices_every_slice_in_the_tier_of_the_whole():
    # 8 + 12 = 20 lie in tier 2: 8 × 0.5 + 2; 12 × 0.5
    assert sliced("volume", TWO_TIERS, "8", "12") == [{2: (8, 2, 6)}, {2: (12, 0, 6)}]


def test_whole_packages_of_the_running_sum_minus_those_before():
    # packages of 10 at 3: 12 → 2; 17 → 2, nothing new; 21 → 3, one more
    assert sliced("package", [tier(1, None, "3")], "12", "5", "4", package_size="10") == [
        {1: (2, 0, 6)},
        {},
        {1: (1, 0, 3)},
    ]


def test_the_fee_of_a_percentage_is_in_the_first_slice():
    # 200 × 2.9 % + 0.30 = 6.10; 100 × 2.9 % = 2.90
    assert sliced("percentage", [tier(1, None, None, "0.30", "2.9")], "200", "100") == [
        {1: (200, D("0.30"), D("6.10"))},
        {1: (100, 0, D("2.90"))},
    ]


def test_each_slice_is_its_own_product_rounded_once():
    # 0.000000001 × 0.0005 is half of the 12th digit and rounds up to 1, in the second slice as in the first
    halves = sliced("per_unit", [tier(1, None, "0.0005")], "0.000000001", "0.000000001")
    assert [slice_[1][2] for slice_ in halves] == [D("0.000000000001"), D("0.000000000001")]


# --- where slices begin -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sku", "start", "end", "expected"),
    [
        ("*", "2026-10-16", "", [None, OCTOBER(16)]),
        ("api", "", "2026-10-16", [None, OCTOBER(16)]),
        ("api", "2026-10-01", "2026-12-01", [None]),  # begins with the period
        ("*", "2026-09-10", "", [None]),  # before it
        ("*", "2026-10-10", "2026-10-16", [OCTOBER(10), OCTOBER(16)]),
        ("*", "2026-10-20", "2026-10-21", [None]),  # nothing used from then on
        ("other", "2026-10-16", "", [None]),
    ],
)
def test_discounts_cut_the_period_where_they_begin_and_end(house, sku, start, end, expected):
    house.land(on("10-10"), on("10-16"), discounts=[DISCOUNTS, ("d", "acme", sku, "50", start, end)])
    assert [line.slice_from for line in house.result.lines.values()] == expected


def test_a_price_runs_on_when_its_plan_comes_back(house):
    plans = [PLANS, ("acme", "basic", "", "2026-10-10"), ("acme", "pro", "2026-10-10", "2026-10-20")]
    plans += [("acme", "basic", "2026-10-20", "")]
    prices = [PRICES, ("b", "basic", "api", "*", "USD", "graduated", "", "", "")]
    prices += [("p", "pro", "api", "*", "USD", "per_unit", "", "", "")]
    tiers = [TIERS, ("b", "1", "15", "1", "", ""), ("b", "2", "", "0.5", "", ""), ("p", "1", "", "3", "", "")]
    house.land(on("10-09"), on("10-12"), on("10-20"), account_plans=plans, prices=prices, price_tiers=tiers)
    # basic: 10 × 1; on its return the tier has room for 5 × 1, and 5 × 0.5 = 7.5
    assert amounts(house.result) == {None: 10, OCTOBER(10): 30, OCTOBER(20): D("7.5")}


def test_a_flat_price_has_no_slices(house):
    prices = [PRICES, ("f", "basic", "api", "*", "USD", "flat", "", "", "")]
    house.land(
        *(on("10-10"), on("10-20", region="eu")),
        prices=prices,
        price_tiers=[TIERS, ("f", "1", "", "", "49", "")],
        discounts=[DISCOUNTS, ("d", "acme", "*", "10", "2026-10-16", "")],
    )
    # the discount is not in force on the line's first day
    assert amounts(house.result) == {None: 49} and discounts(house.result) == []


def test_units_of_two_metrics_are_two_lines(house):
    house.land(
        on("10-10"),
        on("10-10", "3", metric="points", unit="request", sku="api"),
        metrics=[
            ("metric", "aggregation", "unit", "allow_negative", "default_sku"),
            ("calls", "sum", "request", "false", "api"),
            ("points", "sum", "GB", "true", "points"),
        ],
        units=[("unit", "base_unit", "factor"), ("request", "request", "1"), ("GB", "request", "1")],
    )
    assert {key.unit: line.amount for key, line in house.result.lines.items()} == {"request": 1, "GB": D("0.30")}


# --- what discounts take off ------------------------------------------------------------------------------------------


def test_each_discount_takes_its_share_of_what_is_left_in_order_of_id(house):
    rows = [("d2", "acme", "*", "50", "", ""), ("d1", "acme", "api", "10", "", "")]
    house.land(on("10-10", "1000"), discounts=[DISCOUNTS, *rows, ("d3", "acme", "seats", "10", "", "")])
    # 1000 × 0.10 = 100; 10 % of 100 = 10; 50 % of 90 = 45
    assert discounts(house.result) == [("d1", None, -10), ("d2", None, -45)]
    assert house.result.invoices == {("2026-10", "acme", "USD"): 45}
    (line, _) = house.result.discounts
    assert (line.sku, line.region, line.price_id, line.pricing_model, line.quantity, line.unit) == (
        *("api", "global", "p1", "per_unit", 0, None),
    )


def test_a_discount_holds_from_its_first_day_until_before_its_last(house):
    rows = [("d", "acme", "*", "10", "2026-10-10", "2026-10-16")]
    house.land(on("10-09"), on("10-10", "20"), on("10-15"), on("10-16"), discounts=[DISCOUNTS, *rows])
    # 10 % of (20 + 10) × 0.10 only
    assert discounts(house.result) == [("d", OCTOBER(10), D("-0.3"))]


def test_a_discount_is_rounded_at_the_twelfth_digit_and_its_amount_once(house):
    tiers = [TIERS, ("p1", "1", "", "0.001", "", "")]
    house.land(on("10-10", "0.000000001"), price_tiers=tiers, discounts=[DISCOUNTS, ("d", "acme", "*", "50", "", "")])
    # half of 0.000000000001 is half of the last digit: away from zero
    assert discounts(house.result) == [("d", None, D("-0.000000000001"))]
    assert house.result.discounts[0].amount == 0


def test_what_takes_nothing_has_no_line(house):
    rows = [("a", "acme", "*", "0", "", ""), ("b", "acme", "*", "100", "", ""), ("c", "acme", "*", "50", "", "")]
    house.land(on("10-10"), discounts=[DISCOUNTS, *rows])
    assert discounts(house.result) == [("b", None, -1)]  # nothing is left for c


def test_a_discount_is_for_its_own_account_only(house):
    accounts = [ACCOUNTS, ("acme", "", "USD"), ("york", "acme", "USD")]
    plans = [PLANS, ("acme", "basic", "", ""), ("york", "basic", "", "")]
    events = (on("10-10"), on("10-10", account_id="york"))
    rows = [DISCOUNTS, ("d", "acme", "*", "10", "", "")]
    house.land(*events, accounts=accounts, account_plans=plans, discounts=rows)
    assert [(line.account_id, line.amount) for line in house.result.discounts] == [("acme", D("-0.10"))]

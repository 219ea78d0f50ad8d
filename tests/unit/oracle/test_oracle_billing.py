"""The oracle's invoice lines, closes, adjustments and reconciliation against figures worked out by hand."""

from datetime import date
from decimal import Decimal

import pytest

from tests.oracle import LedgerKey

D = Decimal
PRICES = ("price_id", "plan_id", "sku", "region", "currency_code", "model", "free_units", "valid_from", "valid_to")
TIERS = ("price_id", "tier_number", "up_to", "unit_price", "flat_fee")
PLANS = ("account_id", "plan_id", "valid_from", "valid_to")
LEDGER = ("entry_id", "billing_period", "account_id", "sku", "currency_code", "amount")


def on(day, quantity="10", **fields):
    return {"event_ts": f"2026-{day}T12:00:00Z", "quantity": quantity} | fields


def lines(result):
    return {(line.region, line.price_id): (line.quantity, line.amount) for line in result.lines.values()}


def adjustments(result):
    return [(line.billing_period, line.origin_period, line.quantity, line.amount) for line in result.adjustments]


# --- price choice and slices ------------------------------------------------------------------------------------------


def test_a_line_is_rounded_once(house):
    # 3 × 1.333333333 = 3.999999999 → × 0.10 = 0.3999999999 → 0.40
    house.land(*(on("10-10", "1.333333333") for _ in range(3)))
    (line,) = house.result.lines.values()
    assert (line.precise_amount, line.amount) == (D("0.3999999999"), D("0.40"))


def test_a_price_change_makes_slices(house):
    prices = [PRICES, ("old", "basic", "api", "*", "USD", "graduated", "5", "", "2026-10-16")]
    prices += [("new", "basic", "api", "*", "USD", "per_unit", "", "2026-10-16", "")]
    tiers = [TIERS, ("old", "1", "10", "1", ""), ("old", "2", "", "0.5", ""), ("new", "1", "", "2", "")]
    house.land(on("10-15", "25"), on("10-16"), prices=prices, price_tiers=tiers)
    # old: 25 − 5 free = 20: 10 × 1 + 10 × 0.5 = 15; new: 10 × 2 = 20, its tiers start afresh
    assert lines(house.result) == {("global", "old"): (25, D(15)), ("global", "new"): (10, D(20))}


def test_each_change_of_plan_begins_a_slice(house):
    plans = [PLANS, ("acme", "basic", "", "2026-10-10"), ("acme", "pro", "2026-10-10", "2026-10-20")]
    plans += [("acme", "basic", "2026-10-20", "")]
    prices = [PRICES, ("b", "basic", "api", "*", "USD", "per_unit", "", "", "")]
    prices += [("p", "pro", "api", "*", "USD", "per_unit", "", "", "")]
    tiers = [TIERS, ("b", "1", "", "1", ""), ("p", "1", "", "3", "")]
    events = (on("10-09"), on("10-10"), on("10-19"), on("10-20"))
    house.land(*events, account_plans=plans, prices=prices, price_tiers=tiers)
    found = {(line.price_id, line.slice_from): (line.quantity, line.amount) for line in house.result.lines.values()}
    # basic until the 9th, pro from the 10th, basic again from the 20th: 10 × 1, 20 × 3, 10 × 1
    assert found == {
        ("b", None): (10, D(10)),
        ("p", date(2026, 10, 10)): (20, D(60)),
        ("b", date(2026, 10, 20)): (10, D(10)),
    }


def test_the_account_s_currency_goes_before_the_exact_region(house):
    rows = [("any-usd", "*", "USD"), ("eu-eur", "eu", "EUR"), ("us-usd", "us", "USD"), ("jp-eur", "jp", "EUR")]
    prices = [PRICES, *((name, "basic", "api", area, code, "per_unit", "", "", "") for name, area, code in rows)]
    tiers = [TIERS, *((name, "1", "", "1", "") for name, *_ in rows)]
    house.land(on("10-10", region="eu"), on("10-10", region="us"), prices=prices, price_tiers=tiers)
    assert set(lines(house.result)) == {("eu", "any-usd"), ("us", "us-usd")}


def test_a_price_in_another_currency_is_better_than_none(house):
    prices = [PRICES, ("yen", "basic", "api", "*", "JPY", "per_unit", "", "", "")]
    house.land(on("10-10", "25"), prices=prices, price_tiers=[TIERS, ("yen", "1", "", "0.1", "")])
    (line,) = house.result.lines.values()
    assert (line.currency_code, line.amount) == ("JPY", D(3))  # 2.5 yen → 3


def test_usage_without_a_price_is_unpriced_and_not_billable_usage_is_no_line(house):
    house.land(on("10-10", sku="odd"), on("10-10", account_id="asha"), on("10-10", metric="points"))
    result = house.result
    assert result.lines == {}
    assert {(key.account_id, key.sku, key.plan_id) for key in result.unpriced} == {
        ("acme", "odd", "basic"),
        ("asha", "api", None),
    }


# --- fees without usage -----------------------------------------------------------------------------------------------

FEES = [PRICES, ("f", "basic", "support", "*", "USD", "flat", "", "", "")]
FEES += [("g", "basic", "seats", "*", "USD", "graduated", "", "", "")]
FEES += [("v", "basic", "volumes", "*", "USD", "volume", "", "", ""), ("p1", "basic", "api", "*", "USD", "per_unit")]
FEES = [row + ("",) * (len(PRICES) - len(row)) for row in FEES]
FEE_TIERS = [TIERS, ("f", "1", "", "", "49"), ("g", "1", "10", "1", "5"), ("g", "2", "", "1", "7")]
FEE_TIERS += [("v", "1", "", "1", "9"), ("p1", "1", "", "0.10", "")]


def test_flat_and_first_tier_fees_are_due_without_usage(house):
    house.land(on("10-10"), prices=FEES, price_tiers=FEE_TIERS)
    assert lines(house.result) == {("*", "f"): (0, D(49)), ("*", "g"): (0, D(5)), ("global", "p1"): (10, D(1))}


def test_with_usage_the_flat_price_is_still_due_once(house):
    events = (on("10-10", sku="support"), on("10-11", sku="support", region="eu"), on("10-10", sku="seats"))
    house.land(*events, prices=FEES, price_tiers=FEE_TIERS)
    # seats: 10 × 1 + 5, only tier 1 entered
    assert lines(house.result) == {("*", "f"): (20, D(49)), ("global", "g"): (10, D(15))}


@pytest.mark.parametrize(
    ("start", "end", "due"),
    [
        ("2026-10-31", "", True),
        ("2026-11-01", "", False),
        ("", "2026-10-02", True),
        ("", "2026-10-01", False),
    ],
)
def test_fees_are_due_where_the_plan_is_held_on_some_day(house, start, end, due):
    plans = [PLANS, ("acme", "basic", start, end), ("york", "other", "", "")]
    house.land(on("10-10", account_id="york"), account_plans=plans, prices=FEES, price_tiers=FEE_TIERS)
    assert (("*", "f") in lines(house.result)) is due


# --- closes -----------------------------------------------------------------------------------------------------------


def test_final_is_final_and_late_usage_becomes_an_adjustment(house):
    house.land(on("09-10"))
    house.close("2026-09")
    house.land(on("09-10", "4"), on("10-10"))
    result = house.result
    assert {key.billing_period: line.amount for key, line in result.lines.items()} == {
        "2026-09": D("1.00"),
        "2026-10": D("1.00"),
    }
    assert adjustments(result) == [("2026-10", "2026-09", 4, D("0.40"))]
    assert {key.billing_period: usage.quantity for key, usage in result.usage_monthly.items()} == {
        "2026-09": 10,
        "2026-10": 10,
    }
    assert [usage.quantity for usage in result.late_usage.values()] == [4]


def test_an_adjustment_bills_what_the_whole_period_is_worth_now(house):
    tiers = [TIERS, ("p1", "1", "10", "1", ""), ("p1", "2", "", "0.5", "")]
    prices = [PRICES, ("p1", "basic", "api", "*", "USD", "graduated", "", "", "")]
    house.land(on("09-10", "9"), prices=prices, price_tiers=tiers)
    house.close("2026-09")
    house.land(on("09-10", "3"))
    # 12 are worth 10 × 1 + 2 × 0.5 = 11; 9 were billed
    assert adjustments(house.result) == [("2026-10", "2026-09", 3, D(2))]


def test_adjustments_count_what_was_already_adjusted(house):
    house.land(on("09-10"))
    house.close("2026-09")
    house.land(on("09-10", "4"), on("10-10"))
    house.close("2026-10")
    house.land(on("09-10", "5"), on("10-10", "6"))
    assert adjustments(house.result) == [
        ("2026-10", "2026-09", 4, D("0.40")),
        ("2026-11", "2026-09", 5, D("0.50")),
        ("2026-11", "2026-10", 6, D("0.60")),
    ]


def test_a_reattribution_after_the_close_is_credited_and_billed(house):
    keys = [("key_type", "key_value", "account_id", "valid_from", "valid_to")]
    plans = [PLANS, ("acme", "basic", "", ""), ("york", "basic", "", "")]
    event = on("09-10", account_id=None, api_key="k")
    house.land(event, attribution_keys=[*keys, ("api_key", "k", "acme", "", "")], account_plans=plans)
    house.close("2026-09")
    house.land(attribution_keys=[*keys, ("api_key", "k", "york", "", "")])
    found = {line.account_id: (line.quantity, line.amount) for line in house.result.adjustments}
    assert found == {"acme": (-10, D("-1.00")), "york": (10, D("1.00"))}
    assert house.result.invoices == {
        ("2026-09", "acme", "USD"): D("1.00"),
        ("2026-10", "acme", "USD"): D("-1.00"),
        ("2026-10", "york", "USD"): D("1.00"),
    }


def test_the_ledger_of_a_final_period_is_the_one_of_its_close(house):
    first = [LEDGER, ("1", "2026-09", "acme", "api", "USD", "0.90"), ("2", "2026-09", "acme", "gone", "USD", "3")]
    house.land(on("09-10"), finance_ledger=first)
    house.close("2026-09")
    house.land(on("10-10"), finance_ledger=[LEDGER, ("1", "2026-09", "acme", "api", "USD", "1.00")])
    found = {
        key: (row.billed_amount, row.ledger_amount, row.difference_amount) for key, row in house.result.ledger.items()
    }
    assert found == {
        LedgerKey("2026-09", "acme", "api", "USD"): (D("1.00"), D("0.90"), D("0.10")),
        LedgerKey("2026-09", "acme", "gone", "USD"): (0, 3, -3),
        LedgerKey("2026-10", "acme", "api", "USD"): (D("1.00"), 0, D("1.00")),
    }

"""The oracle's subscriptions, minimums, parents, exchange rates and allocations against figures worked out by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.oracle import LedgerKey

D = Decimal
ACCOUNTS = ("account_id", "parent_account_id", "billing_timezone", "currency_code")
PLANS = ("account_id", "plan_id", "valid_from", "valid_to")
DISCOUNTS = ("discount_id", "account_id", "sku", "percent", "valid_from", "valid_to")
SUBSCRIPTIONS = ("subscription_id", "account_id", "sku", "currency_code", "monthly_amount", "valid_from", "valid_to")
COMMITMENTS = ("commitment_id", "account_id", "currency_code", "minimum_amount", "valid_from", "valid_to")
RATES = ("rate_date", "from_currency", "to_currency", "rate")
FAMILY = [ACCOUNTS, ("acme", "", "UTC", "USD"), ("kid", "acme", "UTC", "USD"), ("baby", "kid", "UTC", "USD")]
FAMILY_PLANS = [PLANS, *((account, "basic", "", "") for account in ("acme", "kid", "baby"))]


def on(day, quantity="10", **fields):
    return {"event_ts": f"2026-{day}T12:00:00Z", "quantity": quantity} | fields


def subscribed(*spans, amount="100"):
    return [SUBSCRIPTIONS, *((f"s{n}", "acme", "seats", "USD", amount, *span) for n, span in enumerate(spans, start=1))]


def minimums(result):
    return [(line.billing_period, line.reference_id, line.amount) for line in result.minimums]


# --- subscriptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "quantity", "precise", "amount"),
    [
        ("", "", "1", "100", "100"),
        # 21 of 31 days: 100 × 21 / 31 = 67.74193548387096…
        ("2026-10-11", "", "0.677419355", "67.741935483871", "67.74"),
        # 10 days, the 11th is no more: 100 × 10 / 31 = 32.25806451612903…
        ("", "2026-10-11", "0.322580645", "32.258064516129", "32.26"),
        # one day: 100 / 31 = 3.22580645161290…
        ("2026-10-31", "2026-11-30", "0.032258065", "3.225806451613", "3.23"),
    ],
)
def test_subscriptions_are_prorated_by_days(house, start, end, quantity, precise, amount):
    house.land(on("10-10"), subscriptions=subscribed((start, end)))
    (line,) = house.result.subscriptions
    assert (line.quantity, line.unit) == (D(quantity), "month")
    assert (line.precise_amount, line.amount) == (D(precise), D(amount))
    assert (line.sku, line.region, line.price_id, line.slice_from) == ("seats", "*", None, None)


def test_a_discount_cuts_a_subscription(house):
    rows = [DISCOUNTS, ("d", "acme", "seats", "10", "2026-10-21", "")]
    house.land(on("10-10"), subscriptions=subscribed(("2026-10-11", ""), amount="310"), discounts=rows)
    # 10 days a day (from the 11th), and 11 days a day of 10 each: 310 / 31 = 10 a day; 10 % of 110
    found = [(line.slice_from, line.first_date, line.amount) for line in house.result.subscriptions]
    assert found == [(None, date(2026, 10, 11), 100), (date(2026, 10, 21), date(2026, 10, 21), 110)]
    (off,) = house.result.discounts
    assert (off.amount, off.slice_from, off.price_id, off.base.reference_id) == (-11, date(2026, 10, 21), None, "s1")


def test_subscriptions_are_due_in_every_month_between_usage_and_for_existing_accounts(house):
    rows = [*subscribed(("", "")), ("s9", "ghost", "seats", "USD", "5", "", "")]
    house.land(on("09-10"), on("11-10"), subscriptions=rows)
    assert [(line.billing_period, line.account_id) for line in house.result.subscriptions] == [
        ("2026-09", "acme"),
        ("2026-10", "acme"),
        ("2026-11", "acme"),
    ]


def test_without_any_usage_months_count_from_the_earliest_beginning_to_now(house):
    house.land(subscriptions=subscribed(("2026-09-16", "")), account_plans=[PLANS, ("acme", "basic", "2026-08-31", "")])
    result = house.result_as_of(datetime(2026, 10, 2, tzinfo=UTC))
    # August is billed, too, but the subscription begins in September: 15 of 30 days
    assert [(line.billing_period, line.amount) for line in result.subscriptions] == [("2026-09", 50), ("2026-10", 100)]


# --- minimums ---------------------------------------------------------------------------------------------------------


def test_a_minimum_bills_what_is_missing_on_usage_subscriptions_and_discounts(house):
    house.land(
        on("10-10", "100"),
        subscriptions=subscribed(("", "")),
        discounts=[DISCOUNTS, ("d", "acme", "api", "50", "", "")],
        commitments=[COMMITMENTS, ("c", "acme", "USD", "150.005", "", "")],
    )
    # 100 × 0.10 = 10, − 5, + 100 = 105; 150.005 − 105 = 45.005 → 45.01
    (line,) = house.result.minimums
    assert (line.precise_amount, line.amount, line.sku, line.region) == (D("45.005"), D("45.01"), "*", "*")
    assert (line.quantity, line.unit, line.price_id, line.charge_type) == (0, None, None, "minimum")


@pytest.mark.parametrize(
    ("start", "end", "due"),
    [
        ("2026-10-31", "", True),  # in force on the last day: the whole minimum
        ("2026-11-01", "", False),
        ("", "2026-11-01", True),
        ("", "2026-10-31", False),
    ],
)
def test_a_minimum_is_due_when_it_is_in_force_on_the_last_day(house, start, end, due):
    house.land(on("10-10"), commitments=[COMMITMENTS, ("c", "acme", "USD", "50", start, end)])
    assert minimums(house.result) == ([("2026-10", "c", 49)] if due else [])


def test_what_is_billed_enough_or_in_another_currency(house):
    rows = [("enough", "acme", "USD", "1", "", ""), ("euros", "acme", "EUR", "50", "", "")]
    house.land(on("10-10"), commitments=[COMMITMENTS, *rows])
    assert minimums(house.result) == [("2026-10", "euros", 50)]


@pytest.mark.parametrize(("hour", "due"), [(3, False), (4, True)])
def test_no_minimum_while_the_period_runs_for_some_account(house, hour, due):
    # October ends in New York (UTC−4) at 04:00 UTC, whoever the commitment is for
    house.land(on("10-10"), commitments=[COMMITMENTS, ("c", "acme", "USD", "50", "", "")])
    assert bool(house.result_as_of(datetime(2026, 11, 1, hour, tzinfo=UTC)).minimums) is due


def test_minimums_of_descendants_count_for_those_above(house):
    rows = [
        ("c1", "acme", "USD", "100", "", ""),
        ("c2", "baby", "USD", "30", "", ""),
        ("c3", "kid", "USD", "50", "", ""),
    ]
    rows += [("c4", "kid", "USD", "60", "", "")]
    events = [on("10-10", "10", account_id=account) for account in ("acme", "kid", "baby")]
    house.land(*events, accounts=FAMILY, account_plans=FAMILY_PLANS, commitments=[COMMITMENTS, *rows])
    # each is billed 1. baby: 30 − 1 = 29. kid: 50 − (1 + 1 + 29) = 19, then 60 − 50 = 10. acme: 100 − (60 + 1) = 39.
    assert minimums(house.result) == [(("2026-10"), *row) for row in (("c2", 29), ("c3", 19), ("c4", 10), ("c1", 39))]
    assert house.result.invoices == {("2026-10", "acme", "USD"): 100}


# --- parents ----------------------------------------------------------------------------------------------------------


def test_lines_stand_on_the_invoice_of_the_topmost_parent_that_exists(house):
    accounts = [*FAMILY, ("york", "gone", "UTC", "USD")]
    plans = [*FAMILY_PLANS, ("york", "basic", "", "")]
    house.land(on("10-10", account_id="baby"), on("10-10", account_id="york"), accounts=accounts, account_plans=plans)
    found = {line.account_id: line.invoice_account_id for line in house.result.all_lines}
    assert found == {"baby": "acme", "york": "york"}
    assert house.result.invoices == {("2026-10", "acme", "USD"): 1, ("2026-10", "york", "USD"): 1}


# --- exchange rates ---------------------------------------------------------------------------------------------------


def test_the_latest_rate_until_the_last_day_of_the_period_counts(house):
    rates = [("2026-09-30", "EUR", "USD", "1.05"), ("2026-10-31", "EUR", "USD", "1.0834567")]
    rates += [("2026-11-01", "EUR", "USD", "9"), ("2026-10-31", "USD", "EUR", "0.5"), ("2026-11-01", "JPY", "USD", "1")]
    rows = [("e", "EUR", "100.005"), ("j", "JPY", "7"), ("u", "USD", "3")]
    commitments = [COMMITMENTS, *((name, "acme", code, amount, "", "") for name, code, amount in rows)]
    house.land(on("10-10"), fx_rates=[RATES, *rates], commitments=commitments)
    found = {
        line.reference_id: (line.amount, line.fx_rate_date, line.fx_rate, line.reporting_amount)
        for line in house.result.minimums
    }
    # 100.005 € → 100.01 €; × 1.0834567 = 108.356504567 → 108.36; the yen has no rate in time
    assert found == {
        "e": (D("100.01"), date(2026, 10, 31), D("1.0834567"), D("108.36")),
        "j": (7, None, None, None),
        "u": (2, None, 1, 2),
    }


# --- allocations ------------------------------------------------------------------------------------------------------


def test_a_minimum_is_shared_in_proportion_to_the_cent(house):
    plans = FAMILY_PLANS
    events = [on("10-10", "10", account_id=account) for account in ("acme", "kid", "baby")]
    rows = [COMMITMENTS, ("c", "acme", "USD", "13", "", "")]
    house.land(*events, accounts=FAMILY, account_plans=plans, commitments=rows)
    # 10.00 in three equal parts: 3.33 each, and the cent left over goes to the first account by name
    found = {(key.account_id, key.sku): amount for key, amount in house.result.allocations.items()}
    assert found == {("acme", "api"): D("3.34"), ("baby", "api"): D("3.33"), ("kid", "api"): D("3.33")}


def test_the_largest_remainder_gets_the_unit_left_over(house):
    rows = [DISCOUNTS, ("d", "acme", "other", "100", "", "")]
    prices = [("price_id", "plan_id", "sku", "currency_code", "model")]
    prices += [(sku, "basic", sku, "USD", "per_unit") for sku in ("api", "free", "odd", "other")]
    tiers = [("price_id", "tier_number", "unit_price"), ("api", "1", "1"), ("odd", "1", "2"), ("other", "1", "5")]
    house.land(
        *(on("10-10", "1", sku=sku) for sku in ("api", "odd", "other")),
        prices=prices,
        price_tiers=[*tiers, ("free", "1", "0")],
        discounts=rows,
        commitments=[COMMITMENTS, ("c", "acme", "USD", "3.05", "", "")],
    )
    # 0.05 over 1 (api) and 2 (odd); `other` nets to 0. 5 × 1/3 = 1.67, 5 × 2/3 = 3.33: the fifth cent to api.
    found = {key.sku: amount for key, amount in house.result.allocations.items()}
    assert found == {"api": D("0.02"), "odd": D("0.03")}


def test_a_minimum_with_nothing_to_stand_for_is_its_own_account_s(house):
    house.land(on("10-10"), commitments=[COMMITMENTS, ("c", "york", "USD", "7", "", "")])
    ((key, amount),) = house.result.allocations.items()
    assert (key.line_type, key.account_id, key.sku, amount) == ("minimum", "york", "*", 7)


# --- closes -----------------------------------------------------------------------------------------------------------


def adjusted(result):
    return {
        (line.charge_type, line.reference_id): (line.billing_period, line.quantity, line.amount)
        for line in result.adjustments
    }


def test_late_usage_adjusts_discounts_and_minimums(house):
    house.land(
        on("09-10", "100"),
        discounts=[DISCOUNTS, ("d", "acme", "*", "10", "", "")],
        commitments=[COMMITMENTS, ("c", "acme", "USD", "20", "", "2026-10-01")],
    )
    house.close("2026-09")
    house.land(on("09-11", "50"), on("10-10"))
    # closed: 10 − 1 = 9, minimum 11. Known now: 15 − 1.50 = 13.50, minimum 6.50.
    assert minimums(house.result) == [("2026-09", "c", 11)]
    assert adjusted(house.result) == {
        ("usage", "p1"): ("2026-10", 50, 5),
        ("discount", "d"): ("2026-10", 0, D("-0.50")),
        ("minimum", "c"): ("2026-10", 0, D("-4.50")),
    }
    # the month after: 10 × 0.10 − 10 %, and the adjustments, which cancel out
    assert house.result.invoices == {("2026-09", "acme", "USD"): 20, ("2026-10", "acme", "USD"): D("0.90")}


def test_minimum_adjustments_count_what_was_already_adjusted(house):
    house.land(on("09-10", "100"), commitments=[COMMITMENTS, ("c", "acme", "USD", "20", "", "2026-10-01")])
    house.close("2026-09")
    house.land(on("09-11", "50"), on("10-10"))
    house.close("2026-10")
    house.land(on("09-12", "80"), on("11-10"))
    # closed with 10; then 15 known: − 5; then 23 known: no minimum is left, − 5 more
    found = [(line.billing_period, line.amount) for line in house.result.adjustments if line.charge_type == "minimum"]
    assert found == [("2026-10", -5), ("2026-11", -5)]


def test_subscriptions_of_a_closed_period_are_not_adjusted(house):
    commitments = [COMMITMENTS, ("c", "acme", "USD", "150", "", "2026-10-01")]
    rows = [DISCOUNTS, ("d", "acme", "seats", "10", "", "")]
    house.land(on("09-10"), subscriptions=subscribed(("", "2026-10-01")), discounts=rows, commitments=commitments)
    house.close("2026-09")
    house.land(on("10-10"), subscriptions=subscribed(("", "2026-10-01"), amount="900"))
    # dearer now; the line stands at 100, and so do the discount on it and the minimum over it
    assert [line.amount for line in house.result.subscriptions] == [100]
    assert adjusted(house.result) == {}


def test_a_discount_that_became_known_after_the_close_adjusts(house):
    house.land(on("09-10"), subscriptions=subscribed(("", "2026-10-01")))
    house.close("2026-09")
    house.land(on("10-10"), discounts=[DISCOUNTS, ("d", "acme", "*", "10", "", "2026-10-01")])
    # 10 % of 10 × 0.10, and of the subscription of 100 as it was billed
    found = {(line.sku, line.amount) for line in house.result.adjustments}
    assert found == {("api", D("-0.10")), ("seats", -10)}


def test_all_lines_are_reconciled(house):
    ledger = [("entry_id", "billing_period", "account_id", "sku", "currency_code", "amount")]
    ledger += [("1", "2026-10", "acme", "*", "USD", "40")]
    house.land(
        on("10-10"),
        subscriptions=subscribed(("", "")),
        discounts=[DISCOUNTS, ("d", "acme", "api", "50", "", "")],
        commitments=[COMMITMENTS, ("c", "acme", "USD", "150", "", "")],
        finance_ledger=ledger,
    )
    found = {key: (row.billed_amount, row.ledger_amount) for key, row in house.result.ledger.items()}
    # api: 1 − 0.50; seats: 100; `*`: 150 − 100.50
    assert found == {
        LedgerKey("2026-10", "acme", "*", "USD"): (D("49.50"), 40),
        LedgerKey("2026-10", "acme", "api", "USD"): (D("0.50"), 0),
        LedgerKey("2026-10", "acme", "seats", "USD"): (100, 0),
    }

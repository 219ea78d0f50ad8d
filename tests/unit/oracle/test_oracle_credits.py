"""The oracle's credits against figures worked out by hand: who pays what, in which order, and what is left."""

from decimal import Decimal

import pytest

D = Decimal
CREDITS = ("credit_id", "account_id", "currency_code", "amount", "priority", "granted_at", "expires_at")
ACCOUNTS = ("account_id", "parent_account_id", "billing_timezone", "currency_code")
PLANS = ("account_id", "plan_id", "valid_from", "valid_to")
COMMITMENTS = ("commitment_id", "account_id", "currency_code", "minimum_amount", "valid_from", "valid_to")
FAMILY = [ACCOUNTS, ("acme", "", "UTC", "USD"), ("kid", "acme", "UTC", "USD"), ("twin", "acme", "UTC", "USD")]
FAMILY_PLANS = [PLANS, *((account, "basic", "", "") for account in ("acme", "kid", "twin"))]


def on(day, quantity="1000", **fields):
    """1000 calls are worth 100."""
    return {"event_ts": f"2026-{day}T12:00:00Z", "quantity": quantity} | fields


def credit(name, amount, priority="", granted="", expires="", account="acme", currency="USD"):
    return name, account, currency, amount, priority, granted, expires


def burned(result):
    return [(line.billing_period, line.reference_id, -line.amount) for line in result.credits]


def balances(result, credit_id):
    """period → (opening, burned, expired, closing)."""
    return {
        key.billing_period: (row.opening_amount, row.burned_amount, row.expired_amount, row.closing_amount)
        for key, row in result.credit_balances.items()
        if key.credit_id == credit_id
    }


def test_a_credit_pays_until_it_is_used_up_and_never_more_than_is_due(house):
    house.land(on("09-10"), on("10-10"), on("11-10"), credits=[CREDITS, credit("c", "150")])
    assert burned(house.result) == [("2026-09", "c", 100), ("2026-10", "c", 50)]
    assert balances(house.result, "c") == {
        "2026-09": (150, 100, 0, 50),
        "2026-10": (50, 50, 0, 0),
        "2026-11": (0, 0, 0, 0),
    }
    (line, _) = house.result.credits
    assert (line.account_id, line.sku, line.region, line.quantity, line.unit) == ("acme", "*", "*", 0, None)
    assert house.result.invoices[("2026-09", "acme", "USD")] == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (credit("b", "70"), credit("a", "70", priority="1")),  # no priority is 0
        (credit("b", "70", expires="2026-12-01T00:00:00Z"), credit("a", "70")),  # what never expires comes last
        (
            credit("b", "70", granted="2026-08-01", expires="2026-12-01"),
            credit("a", "70", granted="2026-08-02", expires="2026-12-01"),
        ),
        (credit("a", "70"), credit("b", "70")),
    ],
)
def test_credits_burn_by_priority_then_expiry_then_grant_then_id(house, first, second):
    house.land(on("10-10"), credits=[CREDITS, second, first])
    assert burned(house.result) == [("2026-10", first[0], 70), ("2026-10", second[0], 30)]


@pytest.mark.parametrize(
    ("granted", "expires", "pays"),
    [
        ("2026-10-31T23:59:59Z", "", True),  # granted before the period ends
        ("2026-11-01T00:00:00Z", "", False),
        ("", "2026-10-01T00:00:00Z", False),  # expired as it begins
        ("", "2026-10-01T00:00:01Z", True),
    ],
)
def test_a_credit_pays_for_periods_between_grant_and_expiry(house, granted, expires, pays):
    house.land(on("10-10"), credits=[CREDITS, credit("c", "10", granted=granted, expires=expires)])
    assert burned(house.result) == ([("2026-10", "c", 10)] if pays else [])
    assert bool(balances(house.result, "c")) is pays


def test_periods_begin_on_the_calendar_of_the_credit_s_account(house):
    accounts = [ACCOUNTS, ("acme", "", "Pacific/Auckland", "USD")]
    house.land(on("10-10"), accounts=accounts, credits=[CREDITS, credit("c", "10", expires="2026-09-30T12:00:00Z")])
    # Auckland's October begins on 30 September at 11:00 UTC: at noon the credit has not expired before it
    assert burned(house.result) == [("2026-10", "c", 10)]


def test_the_rest_expires_in_the_last_period_that_the_credit_may_pay_for(house):
    rows = [CREDITS, credit("c", "150", expires="2026-10-05T08:00:00Z")]
    house.land(on("09-10"), on("10-10", "100"), on("11-10"), credits=rows)
    assert balances(house.result, "c") == {
        "2026-09": (150, 100, 0, 50),
        "2026-10": (50, 10, 40, 0),
        "2026-11": (0, 0, 0, 0),
    }


def test_only_whole_minor_units_burn(house):
    house.land(on("10-10"), credits=[CREDITS, credit("c", "10.009"), credit("d", "0.009")])
    assert burned(house.result) == [("2026-10", "c", D("10.00"))]
    assert balances(house.result, "c")["2026-10"] == (D("10.009"), 10, 0, D("0.009"))
    assert balances(house.result, "d")["2026-10"] == (D("0.009"), 0, 0, D("0.009"))


def test_a_credit_pays_in_its_currency_only(house):
    house.land(on("10-10"), credits=[CREDITS, credit("c", "10", currency="EUR")])
    assert burned(house.result) == []


def test_a_parent_s_credit_covers_its_children_and_a_child_s_only_itself(house):
    events = [on("10-10", account_id=account) for account in ("acme", "kid")]
    rows = [credit("a", "500", account="twin"), credit("b", "500", account="kid"), credit("c", "500", account="acme")]
    house.land(*events, accounts=FAMILY, account_plans=FAMILY_PLANS, credits=[CREDITS, *rows])
    # twin owes nothing; kid's credit pays kid's 100; acme's pays what is left of 200
    assert burned(house.result) == [("2026-10", "b", 100), ("2026-10", "c", 100)]
    assert house.result.invoices == {("2026-10", "acme", "USD"): 0}


def test_no_more_is_paid_than_the_whole_invoice_owes(house):
    events = [on("10-10", account_id=account) for account in ("acme", "kid")]
    rows = [credit("a", "130", account="acme"), credit("b", "500", account="kid")]
    house.land(*events, accounts=FAMILY, account_plans=FAMILY_PLANS, credits=[CREDITS, *rows])
    # acme's credit pays 130 of 200; kid owes 100 by itself, but the invoice only 70
    assert burned(house.result) == [("2026-10", "a", 130), ("2026-10", "b", 70)]


def test_credits_pay_minimums_and_stand_for_what_the_subtree_used(house):
    rows = [CREDITS, credit("c", "130")]
    events = [on("10-10"), on("10-10", "500", account_id="kid")]
    house.land(
        *events,
        accounts=FAMILY,
        account_plans=FAMILY_PLANS,
        credits=rows,
        commitments=[COMMITMENTS, ("m", "acme", "USD", "200", "", "")],
    )
    # 100 + 50 used, minimum 50; the credit pays 130 of 200, shared 2 : 1 (86.666…, 43.333…: the cent to acme)
    assert burned(house.result) == [("2026-10", "c", 130)]
    found = {key.account_id: part for key, part in house.result.allocations.items() if key.line_type == "credit"}
    assert found == {"acme": D("-86.67"), "kid": D("-43.33")}


def test_what_burned_in_a_closed_period_is_used_up(house):
    house.land(on("09-10"), credits=[CREDITS, credit("b", "150")])
    house.close("2026-09")
    house.land(on("09-11", "200"), on("10-10"), credits=[CREDITS, credit("b", "150"), credit("a", "150")])
    # September stands at 100 of b, though a would come first now; October owes 100 and an adjustment of 20
    assert burned(house.result) == [("2026-09", "b", 100), ("2026-10", "a", 120)]
    assert balances(house.result, "b") == {"2026-09": (150, 100, 0, 50), "2026-10": (50, 0, 0, 50)}
    assert balances(house.result, "a") == {"2026-09": (150, 0, 0, 150), "2026-10": (150, 120, 0, 30)}


def test_nothing_is_paid_where_the_invoice_is_a_credit_note(house):
    keys = [("key_type", "key_value", "account_id", "valid_from", "valid_to")]
    event = on("09-10", account_id=None, api_key="k")
    house.land(event, attribution_keys=[*keys, ("api_key", "k", "acme", "", "")])
    house.close("2026-09")
    house.land(attribution_keys=[*keys, ("api_key", "k", "asha", "", "")], credits=[CREDITS, credit("c", "10")])
    # October: acme gets 100 back
    assert house.result.invoices[("2026-10", "acme", "USD")] == -100
    assert burned(house.result) == []

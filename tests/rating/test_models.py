"""What a quantity costs, for each pricing model: every row of cases/*.csv through landing and dbt, to the digit (rules 12 and 13)."""

from datetime import UTC, datetime

import pytest

from orchestration import warehouse
from tests.oracle.currencies import minor_unit
from tests.oracle.exact import round_half_away
from tests.rating import notation
from tests.rating.books import Billed, Books, bill
from tests.rating.tables import Case, read_cases

CASES = read_cases()
PERIOD, FIRST_DAY = "2026-10", "2026-10-05"
LANDED_AT = datetime(2026, 11, 2, tzinfo=UTC)
NOW = datetime(2026, 11, 25, tzinfo=UTC)

LINE_COLUMNS = (
    "billing_period", "line_type", "pricing_model", "currency_code", "quantity", "precise_amount", "amount",
)  # fmt: skip

# metric and SKU of cases without, and with, negative quantities
USAGE, NET_USAGE = "units", "net_units"


@pytest.fixture(scope="module")
def billed(tmp_path_factory) -> Billed:
    """One home: an account, a plan and a price per case."""
    books = Books()
    books.add_metric(USAGE, USAGE)
    books.add_metric(NET_USAGE, NET_USAGE, allow_negative=True)
    # usage in the period, so that it is billed also where a case has none
    books.add("accounts", account_id="somebody", billing_timezone="UTC", currency_code="USD")
    books.add_event(event_ts=f"{FIRST_DAY}T00:00:00Z", metric=USAGE, quantity=1, unit="unit", account_id="somebody")
    for case in CASES:
        _enter(books, case)
    return bill(tmp_path_factory.mktemp("models") / "home", books, LANDED_AT, NOW)


def _enter(books: Books, case: Case) -> None:
    metric = NET_USAGE if any(quantity < 0 for quantity in case.quantities) else USAGE
    books.add("accounts", account_id=case.case, billing_timezone="UTC", currency_code=case.currency_code)
    books.add("account_plans", account_id=case.case, plan_id=case.case)
    books.add_price(
        case.case, case.tiers, plan_id=case.case, sku=metric, currency_code=case.currency_code, model=case.model,
        free_units=case.free_units, package_size=case.package_size,
    )  # fmt: skip
    for hour, quantity in enumerate(case.quantities):
        books.add_event(
            event_ts=f"{FIRST_DAY}T{hour:02d}:00:00Z",
            metric=metric,
            quantity=quantity,
            unit="unit",
            account_id=case.case,
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_the_account_is_billed_what_the_table_says(billed, case):
    lines = billed.of(case.case, "invoice_lines")
    invoices = billed.of(case.case, "invoices")
    assert billed.of(case.case, "unpriced_usage") == []
    if case.expected_precise_amount is None:
        assert (lines, invoices) == ([], [])
        return
    assert [[line[column] for column in LINE_COLUMNS] for line in lines] == [
        [PERIOD, "usage", case.model, case.currency_code, sum(case.quantities), case.expected_precise_amount, case.expected_amount]
    ]  # fmt: skip
    assert [(row["billing_period"], row["currency_code"], row["amount"]) for row in invoices] == [
        (PERIOD, case.currency_code, case.expected_amount)
    ]
    charged = sorted(
        (tier["tier_number"], tier["tier_quantity"], tier["tier_amount"])
        for tier in billed.of(case.case, "invoice_line_tiers")
    )
    assert sum(amount for _, _, amount in charged) == case.expected_precise_amount
    if case.expected_tiers:
        assert charged == [(tier.tier_number, tier.quantity, tier.amount) for tier in case.expected_tiers]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_the_table_agrees_with_its_own_arithmetic(case):
    if case.expected_precise_amount is None:
        assert case.worked == notation.NOTHING
        return
    assert notation.worked(case.worked) == case.expected_precise_amount
    assert round_half_away(case.expected_precise_amount, minor_unit(case.currency_code)) == case.expected_amount
    if case.expected_tiers:
        assert sum(tier.amount for tier in case.expected_tiers) == case.expected_precise_amount


def test_the_projects_own_tests_hold_on_all_cases(billed):
    result = warehouse.build(billed.settings, NOW, select=["test_type:data"])
    assert result.tests > 0

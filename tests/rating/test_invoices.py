"""Whole invoices: invoices/*.yaml, cases of discounts, subscriptions, minimums, credits and parent accounts, through landing and dbt (rules 12 and 16)."""

from datetime import UTC, datetime

import pytest

from orchestration import warehouse
from tests.oracle.currencies import minor_unit
from tests.oracle.exact import round_half_away
from tests.rating.books import Billed, bill
from tests.rating.scenarios import METRIC, Scenario, enter, open_books, read_scenarios, total

SCENARIOS = read_scenarios("invoices")
LANDED_AT = datetime(2026, 11, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 25, tzinfo=UTC)

# Somebody's usage makes every month from the first to the last of these a billed one; November 2026 is still open.
BILLED_FROM, BILLED_TO = "2024-02-10T00:00:00Z", "2026-11-10T00:00:00Z"

NEEDED_COLUMNS = {"invoice_account_id", "charge_type", "reference_id", "base_line_id", "slice_from"}
COLUMNS = (
    "period", "account", "type", "of", "base", "slice_from", "sku", "region", "currency", "quantity", "precise_amount", "amount",
)  # fmt: skip
UNIT_OF = {"usage": "unit", "subscription": "month"}


@pytest.fixture(scope="module")
def billed(tmp_path_factory) -> Billed:
    """One home with the accounts of every case."""
    books = open_books()
    books.add("accounts", account_id="somebody", billing_timezone="UTC", currency_code="USD")
    for at in (BILLED_FROM, BILLED_TO):
        books.add_event(event_ts=at, metric=METRIC, quantity=1, unit="unit", sku="internal", account_id="somebody")
    for scenario in SCENARIOS:
        enter(books, scenario)
    return bill(tmp_path_factory.mktemp("invoices") / "home", books, LANDED_AT, NOW)


def _lines(billed: Billed, scenario: Scenario) -> list[dict]:
    """The lines of the case's accounts, in the case's names; `slice_from` of a discount is that of the line it takes off from."""
    lines = [
        line | {"account": account["account"]}
        for account in scenario["accounts"]
        for line in billed.of(scenario.own(account["account"]), "invoice_lines")
    ]
    missing = NEEDED_COLUMNS - set(lines[0]) if lines else set()
    assert not missing, f"billing.invoice_lines has no column {', '.join(sorted(missing))}"
    by_id = {line["line_id"]: line for line in lines}
    return [_shown(scenario, line, by_id.get(line["base_line_id"])) for line in lines]


def _shown(scenario: Scenario, line: dict, base: dict | None) -> dict:
    slice_from = (base or line)["slice_from"]
    return line | {
        "period": line["billing_period"],
        "type": line["line_type"],
        "of": scenario.shown(line["reference_id"]),
        "base": base and scenario.shown(base["reference_id"]),
        "slice_from": slice_from and slice_from.isoformat(),
        "currency": line["currency_code"],
    }


def _table(lines: list[dict]) -> list[tuple]:
    return sorted(
        (tuple(line[column] for column in COLUMNS) for line in lines), key=lambda row: tuple(map(str, row[:9]))
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.case)
def test_the_lines_are_what_the_case_says(billed, scenario):
    assert _table(_lines(billed, scenario)) == _table(scenario["lines"])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.case)
def test_the_lines_say_what_they_charge_and_on_which_invoice(billed, scenario):
    for line in _lines(billed, scenario):
        assert line["charge_type"] == line["line_type"]
        assert line["invoice_account_id"] == scenario.own(_topmost(scenario, line["account"]))
        if line["quantity"] or line["line_type"] in ("minimum", "discount", "credit"):
            assert line["unit"] == UNIT_OF.get(line["line_type"])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.case)
def test_the_invoices_are_what_the_case_says(billed, scenario):
    found = {
        (row["billing_period"], account["account"], row["currency_code"]): row["amount"]
        for account in scenario["accounts"]
        for row in billed.of(scenario.own(account["account"]), "invoices")
    }
    assert found == {(row["period"], row["account"], row["currency"]): row["amount"] for row in scenario["invoices"]}


@pytest.mark.parametrize(
    "scenario", [each for each in SCENARIOS if each["balances"]], ids=lambda scenario: scenario.case
)
def test_the_balances_of_credits_are_what_the_case_says(billed, scenario):
    with warehouse.read(billed.settings) as connection:
        rows = warehouse.rows(connection, "from billing.credit_balances")
    found = {
        (scenario.shown(row["credit_id"]), row["billing_period"]): (
            row["opening_amount"], row["burned_amount"], row["expired_amount"], row["closing_amount"],
        )
        for row in rows
        if row["credit_id"].startswith(f"{scenario.case}.")
    }  # fmt: skip
    assert found == {
        (row["credit"], row["period"]): (row["opening"], row["burned"], row["expired"], row["closing"])
        for row in scenario["balances"]
    }


def _topmost(scenario: Scenario, account: str) -> str:
    """The account whose invoice the account's lines stand on."""
    parents = {row["account"]: row["parent"] for row in scenario["accounts"]}
    while parents[account] in parents:
        account = parents[account]
    return account


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.case)
def test_the_case_agrees_with_itself(scenario):
    by_invoice: dict[tuple, list] = {}
    for line in scenario["lines"]:
        assert round_half_away(line["precise_amount"], minor_unit(line["currency"])) == line["amount"], line
        by_invoice.setdefault((line["period"], _topmost(scenario, line["account"]), line["currency"]), []).append(line)
    assert {key: total(lines, "amount") for key, lines in by_invoice.items()} == {
        (row["period"], row["account"], row["currency"]): row["amount"] for row in scenario["invoices"]
    }
    for row in scenario["balances"]:
        assert row["opening"] - row["burned"] - row["expired"] == row["closing"]


def test_the_projects_own_tests_hold_on_all_cases(billed):
    result = warehouse.build(billed.settings, NOW, select=["test_type:data"])
    assert result.tests > 0

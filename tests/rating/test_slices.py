"""Which price, from which day: slices/*.yaml, cases of several events, prices, plans and time zones, through landing and dbt (rules 9, 13, 14, 15)."""

from datetime import UTC, datetime

import pytest

from orchestration import warehouse
from tests.rating.books import Billed, bill
from tests.rating.scenarios import Scenario, enter, open_books, read_scenarios, total

SCENARIOS = read_scenarios("slices")
SLICED = [each for each in SCENARIOS if any("slice_from" in line["written"] for line in each["lines"])]
LANDED_AT = datetime(2026, 11, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
KEY = ("period", "account", "price", "sku", "region", "currency")


@pytest.fixture(scope="module")
def billed(tmp_path_factory) -> Billed:
    """One home with the accounts of every case."""
    books = open_books()
    for scenario in SCENARIOS:
        enter(books, scenario)
    return bill(tmp_path_factory.mktemp("slices") / "home", books, LANDED_AT, NOW)


def _expected(scenario: Scenario) -> list[dict]:
    return [line | {"price": line["of"]} for line in scenario["lines"]]


def _lines(billed: Billed, scenario: Scenario) -> list[dict]:
    """The lines of the case's accounts, in the case's names."""
    return [
        line | {
            "period": line["billing_period"], "account": account["account"], "price": scenario.shown(line["price_id"]),
            "currency": line["currency_code"],
        }
        for account in scenario["accounts"]
        for line in billed.of(scenario.own(account["account"]), "invoice_lines")
    ]  # fmt: skip


def _sums(lines: list[dict]) -> dict[tuple, tuple]:
    grouped: dict[tuple, list[dict]] = {}
    for line in lines:
        grouped.setdefault(tuple(line[name] for name in KEY), []).append(line)
    return {key: (total(rows, "quantity"), total(rows, "precise_amount")) for key, rows in grouped.items()}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.case)
def test_each_price_charges_what_the_case_says(billed, scenario):
    assert _sums(_lines(billed, scenario)) == _sums(_expected(scenario))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.case)
def test_usage_without_a_price_is_unpriced(billed, scenario):
    found = [
        (row["billing_period"], account["account"], scenario.shown(row["plan_id"]), row["sku"], row["region"], row["quantity"])
        for account in scenario["accounts"]
        for row in billed.of(scenario.own(account["account"]), "unpriced_usage")
    ]  # fmt: skip
    expected = [
        (row["period"], row["account"], row["plan"], row["sku"], row["region"], row["quantity"])
        for row in scenario["unpriced"]
    ]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize("scenario", [each for each in SCENARIOS if each not in SLICED], ids=lambda each: each.case)
def test_unsliced_lines_and_invoices(billed, scenario):
    columns = (*KEY, "quantity", "precise_amount", "amount")
    assert _table(_lines(billed, scenario), columns) == _table(_expected(scenario), columns)
    assert _invoices(billed, scenario) == _expected_invoices(scenario)


@pytest.mark.parametrize("scenario", SLICED, ids=lambda each: each.case)
def test_slices_have_lines_of_their_own(billed, scenario):
    found = _lines(billed, scenario)
    assert all("slice_from" in line for line in found), "billing.invoice_lines has no column slice_from"
    for line in found:
        line["slice_from"] = line["slice_from"] and line["slice_from"].isoformat()
    columns = (*KEY, "slice_from", "quantity", "precise_amount", "amount")
    assert _table(found, columns) == _table(_expected(scenario), columns)
    assert _invoices(billed, scenario) == _expected_invoices(scenario)


def _table(lines: list[dict], columns: tuple[str, ...]) -> list[tuple]:
    return sorted(
        (tuple(line[column] for column in columns) for line in lines), key=lambda row: tuple(map(str, row[:7]))
    )


def _invoices(billed: Billed, scenario: Scenario) -> dict[tuple, object]:
    return {
        (row["billing_period"], account["account"], row["currency_code"]): row["amount"]
        for account in scenario["accounts"]
        for row in billed.of(scenario.own(account["account"]), "invoices")
    }


def _expected_invoices(scenario: Scenario) -> dict[tuple, object]:
    return {(row["period"], row["account"], row["currency"]): row["amount"] for row in scenario["invoices"]}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.case)
def test_the_case_agrees_with_itself(scenario):
    by_invoice: dict[tuple, list] = {}
    for line in scenario["lines"]:
        by_invoice.setdefault((line["period"], line["account"], line["currency"]), []).append(line)
    assert {key: total(lines, "amount") for key, lines in by_invoice.items()} == _expected_invoices(scenario)


def test_the_projects_own_tests_hold_on_all_cases(billed):
    result = warehouse.build(billed.settings, NOW, select=["test_type:data"])
    assert result.tests > 0

"""The reader of YAML cases is strict: what it does not know, misses or cannot read is an error that says where."""

from decimal import Decimal

import pytest

from tests.rating.books import Books
from tests.rating.scenarios import ScenarioError, enter, open_books, parse
from tests.rating.tables import read_cases

GOOD = """
- case: good
  source: rule 14
  accounts: [{account: acme, currency: EUR}, {account: other, parent: acme}]
  plans: [{plan: basic, from: 2026-09-01}]
  prices: [{price: calls_price, plan: basic, model: graduated, tiers: "..10 @ 1; rest @ 0.1"}]
  discounts: [{discount: ten, percent: 10}]
  events: [{at: "2026-09-05T12:00:00+02:00", quantity: 0.1}]
  lines:
    - {period: 2026-09, of: calls_price, slice_from: , quantity: 0.1, precise_amount: 0.1, amount: 0.10}
    - {period: 2026-09, type: discount, of: ten, base: calls_price, precise_amount: -0.01, amount: -0.01}
  invoices: [{period: 2026-09, amount: 0.09}]
"""


def test_a_case_is_read_with_its_defaults():
    [scenario] = parse(GOOD, "good.yaml")
    usage, discount = scenario["lines"]
    assert (usage["account"], usage["sku"], usage["region"], usage["type"]) == ("acme", "calls", "global", "usage")
    assert "slice_from" in usage["written"] and usage["slice_from"] is None and "slice_from" not in discount["written"]
    assert (discount["sku"], discount["region"], discount["quantity"]) == ("calls", "global", 0)
    assert scenario["events"][0]["quantity"] == Decimal("0.1")  # and not 0.1000000000000000055…


def test_names_are_a_cases_own():
    books: Books = open_books()
    for text in (GOOD, GOOD.replace("case: good", "case: better")):
        enter(books, parse(text, "good.yaml")[0])
    assert [row["price_id"] for row in books.tables["prices"]] == ["good.calls_price", "better.calls_price"]
    assert [row["parent_account_id"] for row in books.tables["accounts"]] == [None, "good.acme", None, "better.acme"]
    assert [event["event_id"] for event in books.events] == ["event-1", "event-2"]


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("  source: rule 14\n", "  source: rule 14\n  sauce: x\n", "unknown key sauce"),
        ("  source: rule 14\n", "", "source is missing"),
        ("discount: ten, percent", "discount: ten, percentage", "unknown key percentage"),
        ("price: calls_price, plan", "price: calls_price, price: x, plan", "price stands twice"),
        ("quantity: 0.1}", "quantity: 1e-1}", "not a number"),
        ("..10 @ 1;", "..10 at 1;", "not a tier"),
        ("2026-09-05T12:00:00+02:00", "2026-09-05T12:00:00", "not an instant with offset"),
        ("from: 2026-09-01", "from: 2026-9-1", "not a day"),
        ("model: graduated", "model: tiered", "not one of"),
        ("of: calls_price", "of: storage_price", "which is not in prices"),
        (", base: calls_price", "", "have a base"),
        ("base: calls_price", "base: seat", "no price and no subscription"),
        ("lines:\n", "lines:\n    - {period: 2026-09, account: ghost, of: x, precise_amount: 1, amount: 1}\n", "names the account ghost"),
        ("slice_from: , quantity: 0.1, ", "", "needs a quantity"),
        ("  invoices: [{period: 2026-09, amount: 0.09}]\n", "", "invoices is missing"),
        ("invoices: [{period: 2026-09, amount: 0.09}]", "invoices: 0.09", "not a list of rows"),
        ("- case: good", "- case: Good Case", "not a name"),
        ("- case: good", "case: good", "not allowed here"),
    ],
)  # fmt: skip
def test_a_fault_is_an_error(good, bad, message):
    assert good in GOOD
    with pytest.raises((ScenarioError, ValueError), match=message) as error:
        parse(GOOD.replace(good, bad, 1), "good.yaml")
    assert str(error.value)


def test_every_case_of_the_tables_names_its_source():
    cases = read_cases()
    assert len({case.case for case in cases}) == len(cases)
    assert all(
        case.source.startswith(
            ("http", "getlago/", "billabear/", "openmeterio/", "killbill/", "rule ", "contracts ", "a ")
        )
        for case in cases
    )

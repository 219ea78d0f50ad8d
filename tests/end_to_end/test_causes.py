"""Every cause of rule 22, planted: one account per way in which finance's ledger goes wrong, and the cause that the house derives for it.

The amounts are worked by hand beside each account: one unit of `calls` costs 0.10 USD (0.20 from 2026-09-16 on the plan `dearer`).
"""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from orchestration.settings import Settings
from tests.end_to_end.house import rows
from tests.rating.books import Books, bill
from tests.rating.notation import Tier

LANDED_AT, AS_OF = datetime(2026, 10, 4, tzinfo=UTC), datetime(2026, 10, 5, tzinfo=UTC)
BOOKED_AT = "2026-10-02T00:00:00Z"

# account, cause: events (date, quantity, fields that differ) and what finance booked (period, amount, currency)
PLANTED = {
    # 30 + 20 units; 20 of them reached the collector after finance had booked
    ("late", "late_usage"): (
        [("2026-09-03", "30", {}), ("2026-09-28", "20", {"ingested_ts": "2026-10-03T00:00:00Z"})],
        [("2026-09", "3.00", "USD")],
    ),
    # 50 units, sent twice: finance counted 100
    ("twice", "duplicate"): (
        [("2026-09-03", "50", {"event_id": "again"}), ("2026-09-03", "50", {"event_id": "again"})],
        [("2026-09", "10.00", "USD")],
    ),
    # 10 units are attributed; 40 came with a key that had been taken back on the 10th, and finance's list still has it
    ("keyed", "unattributed"): (
        [("2026-09-03", "10", {}), ("2026-09-20", "40", {"account_id": None, "api_key": "key-of-keyed"})],
        [("2026-09", "5.00", "USD")],
    ),
    # 10 units at 0.10 and 10 at 0.20 are 3.00; finance rated all at the old price
    ("old price", "price"): ([("2026-09-03", "10", {}), ("2026-09-20", "10", {})], [("2026-09", "2.00", "USD")]),
    # and here at the new one
    ("new price", "price"): ([("2026-09-03", "10", {}), ("2026-09-20", "10", {})], [("2026-09", "4.00", "USD")]),
    # 10.00 USD at 0.90 are 9.00 EUR: the break in either currency has the cause
    ("abroad", "fx"): ([("2026-09-03", "100", {})], [("2026-09", "9.00", "EUR")]),
    # one line of 1.00: one cent beside it
    ("cent", "rounding"): ([("2026-09-03", "10", {})], [("2026-09", "0.99", "USD")]),
    ("not booked", "missing_in_ledger"): ([("2026-09-03", "10", {})], []),
    ("not used", "missing_in_usage"): ([], [("2026-09", "7.00", "USD")]),
    # 3.00 of September, of which 1.00 was booked for October, when 2.00 was used
    ("shifted", "timing"): (
        [("2026-09-03", "30", {}), ("2026-10-01", "20", {})],
        [("2026-09", "2.00", "USD"), ("2026-10", "3.00", "USD")],
    ),
    ("odd", "unexplained"): ([("2026-09-03", "10", {})], [("2026-09", "1.37", "USD")]),
    ("right", None): ([("2026-09-03", "10", {})], [("2026-09", "1.00", "USD")]),
}
# account → currency → billed − booked in September
DIFFERENCES = {
    "late": {"USD": "2.00"},
    "twice": {"USD": "-5.00"},
    "keyed": {"USD": "-4.00"},
    "old price": {"USD": "1.00"},
    "new price": {"USD": "-1.00"},
    "abroad": {"USD": "10.00", "EUR": "-9.00"},
    "cent": {"USD": "0.01"},
    "not booked": {"USD": "1.00"},
    "not used": {"USD": "-7.00"},
    "shifted": {"USD": "1.00"},
    "odd": {"USD": "-0.37"},
    "right": {"USD": "0.00"},
}


def tier(unit_price: str) -> tuple[Tier]:
    return (Tier(up_to=None, unit_price=Decimal(unit_price), flat_fee=None, rate_percent=None),)


def planted() -> Books:
    books = Books()
    books.add_metric("calls", "calls")
    books.add_price(
        "even", tier("0.1"), plan_id="even", sku="calls", region="*", currency_code="USD",
        model="per_unit",
    )  # fmt: skip
    for price_id, unit_price, validity in (
        ("old", "0.1", {"valid_to": "2026-09-16"}),
        ("new", "0.2", {"valid_from": "2026-09-16"}),
    ):
        books.add_price(
            price_id, tier(unit_price), plan_id="dearer", sku="calls", region="*",
            currency_code="USD", model="per_unit", **validity,
        )  # fmt: skip
    books.add(
        "attribution_keys", key_type="api_key", key_value="key-of-keyed", account_id="keyed", valid_to="2026-09-10"
    )
    books.add("fx_rates", rate_date="2026-09-15", from_currency="USD", to_currency="EUR", rate=Decimal("0.9"))
    for (account_id, _), (events, booked) in PLANTED.items():
        books.add(
            "accounts", account_id=account_id, account_name=account_id, billing_timezone="UTC", currency_code="USD"
        )
        books.add("account_plans", account_id=account_id, plan_id="dearer" if "price" in account_id else "even")
        for date, quantity, fields in events:
            event = {"event_ts": f"{date}T12:00:00Z", "ingested_ts": f"{date}T13:00:00Z", "metric": "calls"}
            event |= {"quantity": quantity, "unit": "unit"}
            books.add_event(**event | {"account_id": account_id} | fields)
        for number, (period, amount, currency) in enumerate(booked):
            books.add(
                "finance_ledger", entry_id=f"{account_id}-{number}", billing_period=period, account_id=account_id, sku="calls",
                currency_code=currency, amount=Decimal(amount), posted_at=BOOKED_AT,
            )  # fmt: skip
    return books


@pytest.fixture(scope="module")
def reconciled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return bill(tmp_path_factory.mktemp("causes") / "home", planted(), LANDED_AT, AS_OF).settings


def test_each_planted_break_gets_its_cause(reconciled: Settings) -> None:
    expected = [
        (account_id, currency, Decimal(difference), cause)
        for account_id, cause in PLANTED
        for currency, difference in DIFFERENCES[account_id].items()
    ]
    found = rows(
        reconciled.warehouse,
        "select account_id, currency_code, difference_amount, cause from finance.ledger_reconciliation where billing_period = '2026-09'",
    )
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert rows(
        reconciled.warehouse,
        "select cause from finance.ledger_reconciliation where billing_period = '2026-10' and account_id = 'shifted'",
    ) == [("timing",)]


def test_the_breaks_of_a_period_sum_to_its_gap(reconciled: Settings) -> None:
    gaps = rows(
        reconciled.warehouse,
        """
        select currency_code, sum(amount)::decimal(38, 6) from (
            select currency_code, amount from billing.invoice_lines where billing_period = '2026-09'
            union all
            select currency_code, -amount from staging.stg_reference__finance_ledger where billing_period = '2026-09'
        ) group by all order by all
        """,
    )
    breaks = rows(
        reconciled.warehouse,
        "select currency_code, sum(difference_amount)::decimal(38, 6) from finance.ledger_reconciliation "
        "where billing_period = '2026-09' and status = 'break' and cause is not null group by all order by all",
    )
    by_hand = {
        currency: sum(Decimal(amounts.get(currency, 0)) for amounts in DIFFERENCES.values())
        for currency in ("EUR", "USD")
    }
    assert gaps == breaks == sorted(by_hand.items())

"""expected.json adds up: per batch, per line, per invoice, and against the ledger file that the samples hold."""

import csv
import io
import json
from collections import defaultdict
from decimal import Decimal

import pytest

REASONS = {
    "malformed_record",
    "unsupported_schema_version",
    *(f"missing_{field}" for field in ("event_id", "producer", "event_ts", "metric", "quantity", "unit")),
    "invalid_event_ts",
    "event_ts_out_of_range",
    "invalid_quantity",
    "negative_quantity",
    "invalid_sampling_rate",
    "oversized_field",
}
CAUSES = {"late_usage", "rounding", "missing_in_ledger", "missing_in_usage", "price", "timing", "unexplained"}
KEY = ("billing_period", "account_id", "sku", "currency_code")


@pytest.fixture(scope="session")
def expected(made) -> dict:
    return json.loads(made["expected.json"], parse_float=Decimal)


def rows(made, landing: str, table: str) -> list[dict]:
    """A reference table of a landing."""
    return list(csv.DictReader(io.StringIO(made[f"arrived={landing}/reference/{table}.csv"].decode())))


def summed(parts: list[dict], columns: tuple[str, ...]) -> dict[tuple, Decimal]:
    """Amounts by the named columns, zeros left out."""
    sums = defaultdict(Decimal)
    for part in parts:
        sums[tuple(part[column] for column in columns)] += Decimal(part["amount"])
    return {key: amount for key, amount in sums.items() if amount}


def test_records_are_conserved(expected):
    parts = ("rejected", "duplicates", "held", "unattributed", "attributed")
    for batch in expected["batches"]:
        assert batch["records"] == sum(batch[name] for name in parts)
        for state in batch["as_known_by"].values():
            fixed = batch["rejected"] + batch["duplicates"]
            assert batch["records"] == fixed + state["held"] + state["unattributed"] + state["attributed"]


def test_every_reject_reason_is_planted(expected):
    assert {reason for batch in expected["batches"] for reason in batch["rejected_by_reason"]} == REASONS
    for batch in expected["batches"]:
        assert sum(batch["rejected_by_reason"].values()) >= batch["rejected"]


def test_held_and_unattributed_usage_is_released_by_the_second_batch(expected):
    first = expected["batches"][0]["as_known_by"]
    assert first["1"]["held"] > first["2"]["held"] == first["6"]["held"] > 0
    assert first["1"]["unattributed"] > first["2"]["unattributed"] > 0


def test_monthly_usage_counts_every_attributed_event(expected):
    attributed = sum(batch["attributed"] for batch in expected["batches"])
    assert sum(row["event_count"] for row in expected["usage_monthly"]) == attributed


def test_lines_sum_to_bills_and_to_the_invoices_of_parents(made, expected):
    by_account = ("billing_period", "account_id", "currency_code")
    lines, adjustments = expected["invoice_lines"], expected["adjustments"]
    assert summed(lines, by_account) == summed(expected["billed_usage"], by_account)
    accounts = rows(made, "2026-10-01", "accounts")
    invoiced_on = {row["account_id"]: row["parent_account_id"] or row["account_id"] for row in accounts}
    assert len(set(invoiced_on.values())) < len(accounts)
    moved = [line | {"account_id": invoiced_on[line["account_id"]]} for line in [*lines, *adjustments]]
    assert summed(moved, by_account) == summed(expected["invoices"], by_account)


def test_revenue_is_believable(expected):
    in_usd = {"USD": Decimal(1), "EUR": Decimal("1.09"), "JPY": Decimal("0.0067")}
    for period in ("2026-09", "2026-10"):
        bills = [row for row in expected["invoices"] if row["billing_period"] == period]
        assert len({row["account_id"] for row in bills}) == 38  # 40 accounts, two of them with a parent
        assert 100_000 <= sum(Decimal(row["amount"]) * in_usd[row["currency_code"]] for row in bills) <= 300_000


def test_a_price_change_inside_the_month_gives_two_lines(expected):
    (sku,) = (change["sku"] for change in expected["price_changes"] if not change["valid_from"].endswith("-01"))
    lines = [line for line in expected["invoice_lines"] if (line["sku"], line["billing_period"]) == (sku, "2026-10")]
    assert {line["price_id"].rsplit(":", 1)[1] for line in lines} == {"1", "2"}


def test_ledger_breaks_are_the_differences_to_the_ledger_file(made, expected):
    ledger = summed(rows(made, "2026-11-03", "finance_ledger"), KEY)
    billed = summed([*expected["invoice_lines"], *expected["adjustments"]], KEY)
    closed = {close["billing_period"] for close in expected["closes"]}
    found = {
        key: billed.get(key, Decimal(0)) - ledger.get(key, Decimal(0))
        for key in billed.keys() | ledger
        if key[0] in closed and billed.get(key) != ledger.get(key)
    }
    breaks = expected["ledger_breaks"]
    told = {tuple(row[column] for column in KEY): Decimal(row["difference_amount"]) for row in breaks}
    assert found == told
    assert {row["cause"] for row in breaks} == CAUSES


def test_september_ledger_is_the_same_in_both_files(made):
    early, late = (rows(made, landing, "finance_ledger") for landing in ("2026-10-03", "2026-11-03"))
    assert [row for row in late if row["posted_at"] < "2026-10-03"] == early
    assert len({row["entry_id"] for row in late}) == len(late)


def test_gate_passes_but_for_the_waived_account(made, expected):
    (waiver,) = rows(made, "2026-10-03", "gate_waivers")
    ledger = rows(made, "2026-11-03", "finance_ledger")
    for close in expected["closes"]:
        period = close["billing_period"]
        booked = [row for row in ledger if row["billing_period"] == period]
        gaps = [
            row | {"amount": abs(Decimal(row["difference_amount"]))}
            for row in expected["ledger_breaks"]
            if row["billing_period"] == period
        ]
        for currency, gap in summed(gaps, ("currency_code",)).items():
            assert gap / summed(booked, ("currency_code",))[currency] < Decimal("0.005")
        columns = ("account_id", "currency_code")
        total = summed(booked, columns)
        over = {key[0] for key, gap in summed(gaps, columns).items() if gap > 1 and gap > total[key] * 2 / 100}
        assert over == ({waiver["scope"]} if period == waiver["billing_period"] else set())


def test_late_usage_is_billed_as_adjustments_of_the_month_before(expected):
    pairs = {(row["billing_period"], row["origin_period"]) for row in expected["adjustments"]}
    assert pairs == {("2026-10", "2026-09"), ("2026-11", "2026-10")}


def test_reference_tables_name_only_what_exists(made):
    accounts = {row["account_id"]: row for row in rows(made, "2026-10-01", "accounts")}
    skus = {row["sku"]: row for row in rows(made, "2026-10-03", "skus")}
    assert len(accounts) == 40
    assert {row["currency_code"] for row in accounts.values()} == {"USD", "EUR", "JPY"}
    zones = {row["billing_timezone"] for row in accounts.values()}
    assert zones >= {"Asia/Kolkata", "America/New_York", "Pacific/Auckland", "UTC"}
    assert {row["account_id"] for row in rows(made, "2026-10-20", "attribution_keys")} <= set(accounts)
    assert {row["sku"] for row in rows(made, "2026-11-03", "finance_ledger")} <= set(skus)
    prices = rows(made, "2026-10-03", "prices")
    assert {row["sku"] for row in prices} == {sku for sku, row in skus.items() if row["billable"] == "true"}
    assert {row["price_id"] for row in rows(made, "2026-10-03", "price_tiers")} == {row["price_id"] for row in prices}

"""The comparison finds every difference: the oracle's own figures as marts are equal, and one change is found."""

from decimal import Decimal

import duckdb
import pytest

from tests.end_to_end.histories import Options, make_history
from tests.oracle import compare, compute
from tests.oracle.compare import BALANCE_FIGURES, line_key
from tests.oracle.rating import TierCharge

D = Decimal
LINE_COLUMNS = (
    *("billing_period", "origin_period", "account_id", "invoice_account_id", "line_type", "charge_type"),
    *("reference_id", "sku", "region", "price_id", "pricing_model", "slice_from", "quantity", "unit", "currency_code"),
    *("precise_amount", "amount", "fx_rate_date", "fx_rate", "reporting_amount"),
)
MONEY = {"precise_amount": "decimal(38,12)", "amount": "decimal(38,6)", "tier_amount": "decimal(38,12)"}
TYPES = MONEY | {
    **dict.fromkeys(("quantity", "quantity_variance", "peak_per_minute", "p95_per_minute"), "decimal(38,9)"),
    **dict.fromkeys(("tier_quantity",), "decimal(38,9)"),
    **dict.fromkeys(("unit_price", "flat_fee"), "decimal(38,12)"),
    **dict.fromkeys(("billed_amount", "ledger_amount", "difference_amount", "allocated_amount"), "decimal(38,6)"),
    **dict.fromkeys(("event_count", "batch_id", "tier_number", "line_count", "records", "rejected"), "bigint"),
    **dict.fromkeys(("duplicates", "conflicting", "held", "unattributed", "attributed", "difference"), "bigint"),
    **dict.fromkeys(("billing_date", "first_seen_date", "slice_from", "fx_rate_date"), "date"),
    **dict.fromkeys(("opening_amount", "burned_amount", "expired_amount", "closing_amount"), "decimal(38,6)"),
    **{"reporting_amount": "decimal(38,6)", "fx_rate": "decimal(38,12)"},
    "usage_hour": "timestamp",
}


def usage_rows(usages, *figures, **more):
    return [key._asdict() | {name: getattr(usage, name) for name in figures} | more for key, usage in usages.items()]


def marts_of(result):
    """Relation → rows, as a warehouse would hold them."""
    status = lambda period: "final" if period in result.final_cutoffs else "open"  # noqa: E731
    plain = ("unit", "quantity", "event_count")
    conserved = ("records", "rejected", "duplicates", "conflicting", "held", "unattributed", "attributed")
    lines, tiers, ids = [], [], {}
    for number, line in enumerate(result.all_lines, start=1):
        line_id = ids[id(line)] = f"line-{number}"
        figures = {name: getattr(line, name) for name in LINE_COLUMNS}
        figures |= {"line_id": line_id, "reporting_currency_code": "USD", "base_line_id": None}
        if line.line_type == "discount":
            figures["base_line_id"] = next(
                ids[id(other)] for other in result.all_lines if line_key(other) == line_key(line.base)
            )
        lines.append({**figures, "status": status(line.billing_period)})
        for tier in line.tiers or (TierCharge(1, line.quantity, None, D(0), line.precise_amount),):
            charged = {"tier_quantity": tier.quantity, "unit_price": tier.unit_price, "flat_fee": tier.flat_fee}
            tiers.append({"line_id": line_id, "tier_number": tier.tier_number} | charged | {"tier_amount": tier.amount})
    id_of = {(row["billing_period"], row["line_type"], row["reference_id"]): row["line_id"] for row in lines}
    invoices = [
        {
            "billing_period": period,
            "account_id": account,
            "currency_code": currency,
            "amount": amount,
            "status": status(period),
            "line_count": sum(
                (line["billing_period"], line["invoice_account_id"], line["currency_code"])
                == (period, account, currency)
                for line in lines
            ),
        }
        for (period, account, currency), amount in result.invoices.items()
    ]
    monthly = usage_rows(result.usage_monthly, *plain, "peak_per_minute", "p95_per_minute")
    return {
        "usage.usage_hourly": usage_rows(result.usage_hourly, *plain, "quantity_variance"),
        "usage.usage_daily": usage_rows(result.usage_daily, *plain, "peak_per_minute"),
        "usage.usage_monthly": [row | {"period_status": status(row["billing_period"])} for row in monthly],
        "usage.late_usage": usage_rows(result.late_usage, *plain),
        "usage.unattributed_usage": usage_rows(
            result.unattributed, "quantity", "event_count", first_seen_date="2026-10-01"
        ),
        "billing.invoice_lines": lines,
        "billing.invoice_line_tiers": tiers,
        "billing.invoices": invoices,
        "billing.credit_balances": [
            key._asdict()
            | {name: getattr(balance, name) for name in BALANCE_FIGURES}
            | {"status": status(key.billing_period)}
            for key, balance in result.credit_balances.items()
        ],
        "billing.line_allocations": [
            {"line_id": id_of[key[:3]], "account_id": key.account_id, "sku": key.sku, "allocated_amount": amount}
            for key, amount in result.allocations.items()
        ],
        "billing.unpriced_usage": usage_rows(result.unpriced, *plain),
        "finance.ledger_reconciliation": [
            key._asdict()
            | {name: getattr(row, name) for name in ("billed_amount", "ledger_amount", "difference_amount")}
            for key, row in result.ledger.items()
        ],
        "operations.event_conservation": [
            {"batch_id": batch, **{name: getattr(counts, name) for name in conserved}, "difference": 0}
            for batch, counts in result.batches.items()
        ],
    }


def fill(connection, marts):
    """Writes the marts into schemas and typed tables."""
    connection.execute("set timezone = 'UTC'")
    for relation, rows in marts.items():
        assert rows, f"{relation}: the history should have something to show"
        connection.execute(f"create schema if not exists {relation.split('.')[0]}")
        columns = ", ".join(f"{name} {TYPES.get(name, 'varchar')}" for name in rows[0])
        connection.execute(f"create table {relation} ({columns})")
        values = [
            tuple(value.replace(tzinfo=None) if hasattr(value, "hour") else value for value in row.values())
            for row in rows
        ]
        connection.executemany(f"insert into {relation} values ({', '.join('?' * len(rows[0]))})", values)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A history with closes, lines of every type, unattributed, late and unpriced usage."""
    history = make_history(4, Options(events=150, closable=True))
    folders = history.write(tmp_path_factory.mktemp("history"))
    keys = [key for key in history.landings[0] if key.endswith("account_plans.csv")]
    plans = folders[-1].paths / keys[0]
    plans.parent.mkdir(exist_ok=True)
    plans.write_text("account_id,plan_id,valid_from,valid_to\nacct-1,usd-basic,,\n")
    return compute(folders, history.closes)


@pytest.fixture(scope="module")
def filled(result):
    connection = duckdb.connect()
    fill(connection, marts_of(result))
    return connection


@pytest.fixture
def warehouse(filled):
    """The filled marts; what a test changes is rolled back."""
    filled.execute("begin")
    yield filled
    filled.execute("rollback")


def test_equal_marts_have_no_difference(result, warehouse):
    assert compare(result, warehouse) == []


RELATIONS = {
    "usage.usage_hourly": ("unit", "quantity", "event_count", "quantity_variance", "billing_date", "usage_hour"),
    "usage.usage_daily": ("unit", "quantity", "event_count", "peak_per_minute", "region"),
    "usage.usage_monthly": ("quantity", "event_count", "peak_per_minute", "p95_per_minute", "period_status"),
    "usage.late_usage": ("quantity", "event_count"),
    "usage.unattributed_usage": ("quantity", "event_count", "key_value"),
    "billing.invoice_lines": (
        "quantity",
        "precise_amount",
        "amount",
        "currency_code",
        "status",
        "line_type",
        "price_id",
        "charge_type",
        "reference_id",
        "invoice_account_id",
        "fx_rate",
        "reporting_amount",
        "reporting_currency_code",
    ),
    "billing.invoice_line_tiers": ("tier_quantity", "tier_amount", "tier_number", "line_id"),
    "billing.invoices": ("amount", "line_count", "status", "account_id"),
    "billing.credit_balances": ("opening_amount", "burned_amount", "expired_amount", "closing_amount", "status"),
    "billing.line_allocations": ("allocated_amount", "account_id", "sku", "line_id"),
    "billing.unpriced_usage": ("quantity", "plan_id"),
    "finance.ledger_reconciliation": ("billed_amount", "ledger_amount", "difference_amount"),
    "operations.event_conservation": ("records", "rejected", "held", "conflicting", "difference"),
}
SMALLEST = {"decimal(38,9)": "0.000000001", "decimal(38,12)": "0.000000000001", "decimal(38,6)": "0.000001"}


def one_row(relation):
    telling = {
        "billing.invoice_line_tiers": "where tier_quantity > 0 and tier_amount > 0",
        "billing.invoices": "where amount > 0",
        "billing.line_allocations": "where allocated_amount <> 0",
        "billing.invoice_lines": "where line_type = 'usage' and quantity > 0 and fx_rate is not null",
    }.get(relation, "")
    if relation in ("billing.unpriced_usage",):
        telling = "where billing_period = '2026-11'"
    return f"rowid = (select min(rowid) from {relation} {telling})"


@pytest.mark.parametrize(
    ("relation", "column"), [(name, column) for name, all_ in RELATIONS.items() for column in all_]
)
def test_one_changed_value_is_found(result, warehouse, relation, column):
    kind = TYPES.get(column, "varchar")
    changed = {"varchar": "'other'", "date": f"{column} + 400", "timestamp": f"{column} + interval 1 hour"}
    new = changed.get(kind, f"{column} + {SMALLEST.get(kind, 1)}")
    if column in ("status", "period_status"):
        new = f"case {column} when 'final' then 'open' else 'final' end"
    warehouse.execute(f"update {relation} set {column} = {new} where {one_row(relation)}")
    assert compare(result, warehouse) != []


OF_EVERY_TYPE = (
    "amount",
    "precise_amount",
    "reporting_amount",
    "reference_id",
    "invoice_account_id",
    "sku",
    "slice_from",
)


@pytest.mark.parametrize("line_type", ["usage", "subscription", "discount", "minimum", "credit", "adjustment"])
def test_one_changed_value_is_found_on_a_line_of_every_type(result, filled, line_type):
    of_type = f"from billing.invoice_lines where line_type = '{line_type}' and fx_rate is not null"
    assert filled.execute(f"select count(*) {of_type}").fetchone() != (0,)
    row = f"line_id = (select min(line_id) {of_type})"
    for column in OF_EVERY_TYPE:
        changed = {"varchar": "'other'", "date": "date '2026-01-01'"}
        new = changed.get(TYPES.get(column, "varchar"), f"{column} + {SMALLEST.get(TYPES.get(column), 1)}")
        filled.execute("begin")
        filled.execute(f"update billing.invoice_lines set {column} = {new} where {row}")
        found = compare(result, filled)
        filled.execute("rollback")
        assert found, column


@pytest.mark.parametrize("line_type", ["usage", "subscription", "discount", "minimum", "credit", "adjustment"])
def test_tiers_that_do_not_sum_up_are_found_on_a_line_of_every_type(result, warehouse, line_type):
    row = f"(select max(line_id) from billing.invoice_lines where line_type = '{line_type}' and precise_amount <> 0)"
    warehouse.execute(f"delete from billing.invoice_line_tiers where line_id = {row}")
    assert any("the tiers sum up to" in difference for difference in compare(result, warehouse))


def test_a_discount_on_another_line_is_found(result, warehouse):
    warehouse.execute("update billing.invoice_lines set base_line_id = 'line-1' where line_type = 'discount'")
    assert any("should not be there" in difference for difference in compare(result, warehouse))


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_missing_and_a_doubled_row_are_found(result, warehouse, relation):
    warehouse.execute(f"create temp table kept as select * from {relation} where {one_row(relation)}")
    warehouse.execute(f"insert into {relation} select * from kept")
    doubled = compare(result, warehouse)
    warehouse.execute(f"delete from {relation} where {one_row(relation)}")
    warehouse.execute(f"delete from {relation} where rowid = (select max(rowid) from {relation})")
    assert doubled and compare(result, warehouse)


def test_a_float_is_a_difference(result, warehouse):
    warehouse.execute("alter table usage.usage_monthly alter quantity type double")
    assert any("(a float)" in difference for difference in compare(result, warehouse))


def test_differences_are_sentences(result, warehouse):
    warehouse.execute("update operations.event_conservation set held = held + 1 where batch_id = 1")
    held = result.batches[1].held
    assert compare(result, warehouse) == [f"event_conservation: 1: held is {held + 1}, expected {held}"]


def test_decimals_of_another_scale_are_equal(result, warehouse):
    warehouse.execute("alter table usage.usage_daily alter quantity type decimal(38,11)")
    assert compare(result, warehouse) == []
    assert Decimal("1.50") == Decimal("1.5")

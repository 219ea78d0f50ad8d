"""The tolerances exactly at their edge, one step below and above it: the SQL of the gate alone, on planted gaps."""

import duckdb
import pytest

from expectations import reconciliation, usage
from expectations.gate import Gate, Scope

SCOPE = Scope("2026-09", 1)


def _breaking_rows(gate: Gate, rows: list[tuple]) -> list[tuple]:
    """What the gate says of reconciliation rows (account, currency, ledger, difference, cause)."""
    with duckdb.connect() as connection:
        connection.execute("""
            create schema finance;
            create table finance.ledger_reconciliation (
                billing_period varchar, account_id varchar, sku varchar, currency_code varchar,
                billed_amount decimal(38, 6), ledger_amount decimal(38, 6), difference_amount decimal(38, 6),
                cause varchar
            )
        """)
        for account, currency, ledger, difference, cause in rows:
            connection.execute(
                "insert into finance.ledger_reconciliation values ('2026-09', ?, 'api', ?, 0, ?, ?, ?)",
                [account, currency, ledger, difference, cause],
            )
        return connection.sql(gate.breaking_rows().replace("{batch}", f"({SCOPE.sql()})")).fetchall()


EDGES = [
    # gate, ledger, difference, breaks
    (reconciliation.TOTAL_GAP, "1000", "4.999999", False),
    (reconciliation.TOTAL_GAP, "1000", "5", True),  # "< 0.5 %": the edge itself is over
    (reconciliation.TOTAL_GAP, "1000", "-5", True),
    (reconciliation.TOTAL_GAP, "0", "0", False),
    (reconciliation.TOTAL_GAP, None, "0.000001", True),
    (reconciliation.TOTAL_GAP, "-1000", "4.999999", False),  # a month of credit notes
    (reconciliation.ACCOUNT_GAP, "1000", "20", False),  # "not over 2 %": the edge itself is not over
    (reconciliation.ACCOUNT_GAP, "1000", "20.000001", True),
    (reconciliation.ACCOUNT_GAP, "1000", "-20.000001", True),
    (reconciliation.ACCOUNT_GAP, "10", "1", False),  # 10 %, but not over one unit
    (reconciliation.ACCOUNT_GAP, "10", "1.000001", True),
    (reconciliation.ACCOUNT_GAP, None, "1", False),
    (reconciliation.ACCOUNT_GAP, None, "1.000001", True),
    (reconciliation.UNEXPLAINED, "1000", "10", False),  # "not over 1 %"
    (reconciliation.UNEXPLAINED, "1000", "10.000001", True),
]


@pytest.mark.parametrize(("gate", "ledger", "difference", "breaks"), EDGES)
def test_the_edge_of_a_tolerance(gate, ledger, difference, breaks):
    rows = _breaking_rows(gate, [("acme", "USD", ledger, difference, "unexplained")])
    assert bool(rows) is breaks


def test_a_known_cause_is_not_unexplained():
    assert not _breaking_rows(reconciliation.UNEXPLAINED, [("acme", "USD", "1000", "500", "price")])
    assert _breaking_rows(reconciliation.UNEXPLAINED, [("acme", "USD", "1000", "500", None)])


def test_many_small_unexplained_breaks_are_summed():
    rows = [(f"a{n}", "USD", "100", "0.6", "unexplained") for n in range(10)]
    assert not _breaking_rows(reconciliation.UNEXPLAINED, rows)
    assert len(_breaking_rows(reconciliation.UNEXPLAINED, [(*row[:3], "1.1", "unexplained") for row in rows])) == 10


def test_currencies_are_not_added_up():
    rows = [("acme", "USD", "1000000", "0", None), ("acme", "JPY", "1000", "900", "fx")]
    assert [row[0] for row in _breaking_rows(reconciliation.TOTAL_GAP, rows)] == ["JPY"]
    assert [row[:2] for row in _breaking_rows(reconciliation.ACCOUNT_GAP, rows)] == [("acme", "JPY")]


def test_breaks_that_cancel_out_are_still_a_gap():
    rows = [("acme", "USD", "500", "100", "price"), ("blue", "USD", "500", "-100", "price")]
    assert _breaking_rows(reconciliation.TOTAL_GAP, rows)


@pytest.mark.parametrize(
    ("period", "first", "following"),
    [("2026-09", "2026-09-01", "2026-10-01"), ("2026-12", "2026-12-01", "2027-01-01")],
)
def test_a_scope_is_half_open(period, first, following):
    scope = Scope(period, 7)
    assert (scope.first_date.isoformat(), scope.next_date.isoformat()) == (first, following)
    days = (scope.first_date, scope.next_date)
    assert duckdb.sql(scope.sql()).fetchall() == [(period, *days, 7, *days)]


@pytest.mark.parametrize(
    "period", ["2026-13", "2026-9", "1999-12", "2026-09\n", "2026-09-01", "'; drop table x; --", ""]
)
def test_a_scope_is_a_month(period):
    with pytest.raises(ValueError, match="not a billing period"):
        Scope(period, 1)


def test_what_does_not_add_up_is_left_out_of_the_sums_but_not_its_events():
    """A maximum of the month is not the sum of its days; the events of the month are."""
    gate = next(gate for gate in usage.GATES if gate.name == "daily_sums_to_monthly")
    with duckdb.connect() as connection:
        connection.execute("""
            create schema usage; create schema staging;
            create table staging.stg_reference__metrics as select 'temperature' as metric, 'max' as aggregation;
            create table usage.usage_daily as
                select date '2026-09-01' + cast(i as integer) as billing_date, 'acme' as account_id,
                    'temperature' as metric, 'x' as sku, 'eu' as region, cast(i as decimal(38, 9)) as quantity,
                    1 as event_count
                from range(3) as days(i);
            create table usage.usage_monthly as
                select '2026-09' as billing_period, 'acme' as account_id, 'temperature' as metric, 'x' as sku,
                    'eu' as region, cast(2 as decimal(38, 9)) as quantity, 3 as event_count
        """)
        sql = gate.breaking_rows().replace("{batch}", f"({SCOPE.sql()})")
        assert connection.sql(sql).fetchall() == []
        connection.execute("update usage.usage_monthly set event_count = 2")
        assert len(connection.sql(sql).fetchall()) == 1

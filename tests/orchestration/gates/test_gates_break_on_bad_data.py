"""Every gate is given data that must break it, and no other gate may break beside it unless the fault is theirs too."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from gates_warehouse import PERIOD

from orchestration.gates import GATE_NAMES, run_gates

AS_OF = datetime(2026, 10, 5, tzinfo=UTC)

POSTED = "intermediate.int_usage_posted"
BY_HOUR = "intermediate.int_usage_by_hour"
BY_DATE = "intermediate.int_usage_by_date"
MONTHLY = "usage.usage_monthly"
EVERY_ROLLUP = (POSTED, BY_HOUR, BY_DATE, MONTHLY)


def _numbered(of: str) -> str:
    """The rows of postings, hours or days, which have no texts, that are `of` something said in texts."""
    return (
        f"(account_number, item_id) in (select account_number, item_id from intermediate.int_usage_series where {of})"
    )


def _in(relations: tuple[str, ...], change: str, of: str) -> str:
    return ";".join(
        f"update {relation} set {change} where {of if relation == MONTHLY else _numbered(of)}" for relation in relations
    )


def _shown(view: str, query: str) -> str:
    """A view that shows something else; `query` reads the good one as {good}."""
    schema, name = view.split(".")
    return f"alter view {view} rename to good_{name}; create view {view} as " + query.format(
        good=f"{schema}.good_{name}"
    )


def _line_costs(line_id: str, account_id: str, amount: str, precise_amount: str | None = None) -> str:
    """Another amount of a line; invoice, reconciliation and ledger follow, so that only the line can be wrong."""
    precise = (
        f"update billing.invoice_lines set precise_amount = {precise_amount} where line_id = '{line_id}';"
        f"update billing.invoice_line_tiers set tier_amount = {precise_amount} where line_id = '{line_id}';"
        if precise_amount
        else ""
    )
    return f"""
        {precise}
        create temp table step as
            select sku, {amount} - amount as change from billing.invoice_lines where line_id = '{line_id}';
        update billing.invoice_lines set amount = {amount} where line_id = '{line_id}';
        update billing.invoices set amount = amount + (select change from step)
            where account_id = '{account_id}' and billing_period = '2026-09';
        update finance.ledger_reconciliation
            set billed_amount = billed_amount + step.change, ledger_amount = ledger_amount + step.change
            from step where account_id = '{account_id}' and ledger_reconciliation.sku = step.sku;
        update staging.stg_reference__finance_ledger set amount = amount + step.change
            from step where account_id = '{account_id}' and stg_reference__finance_ledger.sku = step.sku
    """


def _ledger_says(account_id: str, sku: str, amount: str, cause: str) -> str:
    """Another ledger amount, which the reconciliation follows: only the gap can be wrong."""
    key = f"account_id = '{account_id}' and sku = '{sku}'"
    return f"""
        update staging.stg_reference__finance_ledger set amount = {amount} where {key};
        update finance.ledger_reconciliation
            set ledger_amount = {amount}, difference_amount = billed_amount - {amount}, cause = '{cause}' where {key}
    """


@dataclass(frozen=True)
class Fault:
    """A fault, the SQL that plants it, the gates that must break, and a value of a row that the first of them shows."""

    name: str
    change: str
    breaks: tuple[str, ...]
    shows: str


FAULTS = (
    Fault(
        "a difference stands in the conservation",
        "update operations.event_conservation set difference = 1 where batch_id = 2",
        ("conservation_holds",),
        "2",
    ),
    Fault(
        "a record is lost though the difference says 0",
        "update operations.event_conservation set attributed = 99 where batch_id = 1",
        ("conservation_holds",),
        "99",
    ),
    Fault(
        "fewer records are counted than landed",
        "update operations.event_conservation set records = 39, attributed = 29 where batch_id = 2",
        ("conservation_holds",),
        "39",
    ),
    Fault(
        "a batch is not counted",
        "delete from operations.event_conservation where batch_id = 2",
        ("conservation_holds",),
        "40",
    ),
    Fault(
        "a count is null",
        "update operations.event_conservation set held = null where batch_id = 1",
        ("conservation_holds",),
        "1",
    ),
    Fault(
        "an account's number is described twice",
        "insert into intermediate.int_holders_decided values (2, 'blue')",
        ("usage_series_unique", "usage_shown_in_full", "daily_sums_to_monthly"),
        "102",
    ),
    Fault(
        "an item's number is described in two ways",
        "insert into intermediate.int_kinds_decided values (104, 'logs', 'logs', 'mars', 'GB', 'sum')",
        ("usage_series_unique", "usage_shown_in_full", "daily_sums_to_monthly"),
        "mars",
    ),
    Fault(
        "two pairs of numbers stand for the same texts",
        "insert into intermediate.int_kinds_decided select * replace (108 as kind_id)"
        " from intermediate.int_kinds_decided where kind_id = 104;"
        f"insert into {BY_HOUR} values ('2026-09-30 09:00', '2026-09-30', 3, 108, 0, 0, 0)",
        ("usage_series_unique",),
        "108",
    ),
    Fault(
        "the days alone have a second pair of numbers for the same texts",
        "insert into intermediate.int_holders_decided values (4, 'kiku');"
        f"insert into {BY_DATE} values ('2026-09-29', 4, 104, 0, 0, 0, 0)",
        ("usage_series_unique",),
        "104",
    ),
    Fault(
        "an item's number is not described any more",
        "delete from intermediate.int_kinds_decided where kind_id = 104",
        ("usage_shown_in_full", "daily_sums_to_monthly"),
        "postings",
    ),
    Fault(
        "an account's number is not described any more",
        "delete from intermediate.int_holders_decided where holder_id = 2",
        ("usage_shown_in_full", "daily_sums_to_monthly"),
        "postings",
    ),
    Fault(
        "a posting of an item that nothing describes is in no hour",
        f"insert into {POSTED} values (2, '2026-09-07 10:00', '2026-09-07', 1, 999, 1, 1, 0)",
        ("postings_sum_to_hourly", "usage_shown_in_full"),
        "999",
    ),
    Fault(
        "a posting of nobody is in no hour",
        f"insert into {POSTED} values (2, '2026-09-07 10:00', '2026-09-07', null, null, 0.000000009, 1, 0)",
        ("postings_sum_to_hourly", "usage_shown_in_full"),
        "0.000000009",
    ),
    Fault(
        "an hour of an item that nothing describes is in no day",
        f"insert into {POSTED} values (2, '2026-09-07 10:00', '2026-09-07', 1, 999, 1, 0, 0);"
        f"insert into {BY_HOUR} values ('2026-09-07 10:00', '2026-09-07', 1, 999, 1, 0, 0)",
        ("hourly_sums_to_daily", "usage_shown_in_full"),
        "999",
    ),
    Fault(
        "an hour of an item that nothing describes stands twice",
        f"insert into {BY_HOUR} select '2026-09-07 10:00', '2026-09-07', 1, 999, 0, 0, 0 from range(2)",
        ("usage_hourly_unique", "usage_shown_in_full"),
        "999",
    ),
    Fault(
        "a day of an account that nothing describes stands twice",
        f"insert into {BY_DATE} select '2026-09-07', 999, 101, 0, 0, 0, 0 from range(2)",
        ("usage_daily_unique", "usage_shown_in_full"),
        "999",
    ),
    Fault(
        "the hours on show lose a row",
        _shown("usage.usage_hourly", "from {good} where account_id <> 'blue'"),
        ("usage_shown_in_full",),
        "13.123456789",
    ),
    Fault(
        "the hours on show lose a row that counts for nothing",
        f"insert into {POSTED} values (2, '2026-09-29 10:00', '2026-09-29', 3, 104, 0, 0, 0);"
        f"insert into {BY_HOUR} values ('2026-09-29 10:00', '2026-09-29', 3, 104, 0, 0, 0);"
        + _shown("usage.usage_hourly", "from {good} where event_count > 0"),
        ("usage_shown_in_full",),
        "2026-09-29",
    ),
    Fault(
        "the hours on show are off by the ninth digit",
        _shown("usage.usage_hourly", "select * replace (quantity + 0.000000001 as quantity) from {good}"),
        ("usage_shown_in_full",),
        "13.123456791",
    ),
    Fault(
        "the days on show exchange two days' events",
        _shown(
            "usage.usage_daily",
            "select * replace (if(sku = 'api' and month(billing_date) = 9, 200 - event_count, event_count) as event_count)"
            " from {good}",
        ),
        ("usage_shown_in_full",),
        "80",
    ),
    Fault(
        "the postings on show have a date of their own",
        _shown(
            "intermediate.int_usage_postings",
            "from {good} union all select * replace (date '2026-09-25' as billing_date) from {good} where event_count = 2",
        ),
        ("usage_shown_in_full",),
        "2026-09-25",
    ),
    Fault(
        "an hour stands twice",
        f"insert into {BY_HOUR} select * replace (0 as quantity, 0 as event_count) from {BY_HOUR}"
        " where account_number = 2",
        ("usage_hourly_unique",),
        "blue",
    ),
    Fault(
        "a day stands twice",
        f"insert into {BY_DATE} select * replace (0 as quantity, 0 as event_count, 0 as peak_per_minute) from {BY_DATE}"
        " where account_number = 2",
        ("usage_daily_unique",),
        "blue",
    ),
    Fault(
        "a month stands twice",
        "insert into usage.usage_monthly select * replace (0 as quantity, 0 as event_count, 0 as peak_per_minute,"
        " 0 as p95_per_minute) from usage.usage_monthly where account_id = 'blue'",
        ("usage_monthly_unique",),
        "blue",
    ),
    Fault(
        "the hours miss a posting",
        f"insert into {POSTED} values (2, '2026-09-07 10:00', '2026-09-07', 1, 107, 1, 1, 0)",
        ("postings_sum_to_hourly",),
        "us",
    ),
    Fault(
        "a posting stands twice, each the same as its hour",
        f"insert into {POSTED} from {POSTED} where item_id = 103",
        ("postings_sum_to_hourly",),
        "10.000000000",
    ),
    Fault(
        "the hours show more than was posted",
        _in(EVERY_ROLLUP[:1], "quantity = quantity - 0.000000001", "account_id = 'blue'"),
        ("postings_sum_to_hourly",),
        "10.123456788",
    ),
    Fault(
        "the hours file usage an hour late",
        f"update {BY_HOUR} set usage_hour = usage_hour + interval 1 hour where item_id = 103",
        ("postings_sum_to_hourly",),
        "2026-09-05T01:00:00Z",
    ),
    Fault(
        "the hours file usage under another account",
        f"update {POSTED} set account_number = 2 where item_id = 104",
        ("postings_sum_to_hourly",),
        "3.000000000",
    ),
    Fault(
        "two hours' quantities are exchanged",
        f"update {BY_HOUR} set quantity = 200 - quantity where item_id = 101 and month(billing_date) = 9;"
        f"update {BY_DATE} set quantity = 200 - quantity where item_id = 101 and month(billing_date) = 9",
        ("postings_sum_to_hourly",),
        "80.000000000",
    ),
    Fault(
        "two hours' events are exchanged",
        f"update {BY_HOUR} set event_count = 200 - event_count where item_id = 101 and month(billing_date) = 9;"
        f"update {BY_DATE} set event_count = 200 - event_count where item_id = 101 and month(billing_date) = 9",
        ("postings_sum_to_hourly",),
        "80",
    ),
    Fault(
        "two days' quantities are exchanged",
        f"update {BY_DATE} set quantity = 200 - quantity where item_id = 101 and month(billing_date) = 9",
        ("hourly_sums_to_daily",),
        "80.000000000",
    ),
    Fault(
        "an event is counted in another hour of a figure that does not add up",
        "update staging.stg_reference__metrics set aggregation = 'max' where metric = 'logs';"
        f"insert into {BY_HOUR} values ('2026-09-30 09:00', '2026-09-30', 3, 104, 3, 1, 0);"
        f"update {BY_HOUR} set event_count = 0 where item_id = 104 and usage_hour = '2026-09-30 10:00'",
        ("postings_sum_to_hourly",),
        "2026-09-30T09:00:00Z",
    ),
    Fault(
        "the days are off by the ninth digit",
        _in(EVERY_ROLLUP[:2], "quantity = quantity - 0.000000001", "account_id = 'blue'"),
        ("hourly_sums_to_daily",),
        "10.123456788",
    ),
    Fault(
        "the month is off by the ninth digit",
        _in(EVERY_ROLLUP[:3], "quantity = quantity - 0.000000001", "account_id = 'blue'"),
        ("daily_sums_to_monthly",),
        "10.123456788",
    ),
    Fault(
        "the month counts an event too many",
        _in(EVERY_ROLLUP[3:], "event_count = event_count + 1", "account_id = 'blue'"),
        ("daily_sums_to_monthly",),
        "3",
    ),
    Fault(
        "a month is missing",
        "delete from usage.usage_monthly where metric = 'logs'",
        ("daily_sums_to_monthly",),
        "logs",
    ),
    Fault(
        "a unit is null",
        _in(EVERY_ROLLUP[3:], "unit = null", "account_id = 'blue'"),
        ("quantities_present",),
        "usage_monthly",
    ),
    Fault(
        "New York's first hour of October is billed in September",
        _in(EVERY_ROLLUP[:2], "usage_hour = '2026-10-01 04:00'", "account_id = 'blue'"),
        ("usage_within_period",),
        "2026-10-01T04:00:00Z",
    ),
    Fault(
        "Auckland's first hour of October, in daylight saving time, is billed in September",
        _in(EVERY_ROLLUP[:2], "usage_hour = '2026-09-30 11:00'", "metric = 'logs'"),
        ("usage_within_period",),
        "2026-10-01",
    ),
    Fault(
        "Kolkata's last hour of August is billed in September",
        ";".join(
            f"update {relation} set usage_hour = '2026-08-31 17:00' where usage_hour = '2026-08-31 18:00'"
            for relation in EVERY_ROLLUP[:2]
        ),
        ("usage_within_period",),
        "2026-08-31",
    ),
    Fault(
        "an hour of the middle of another year's September is billed",
        _in(EVERY_ROLLUP[:2], "usage_hour = '2025-09-15 10:00'", "metric = 'logs'"),
        ("usage_within_period",),
        "2025-09-15",
    ),
    Fault(
        "an account with usage is unknown",
        "delete from staging.stg_reference__accounts where account_id = 'blue'",
        ("usage_accounts_known",),
        "blue",
    ),
    Fault(
        "usage is negative",
        _in(EVERY_ROLLUP, "quantity = -3", "metric = 'logs'")
        + f";update {BY_DATE} set peak_per_minute = -3 where item_id = 104"
        + ";update usage.usage_monthly set peak_per_minute = -3, p95_per_minute = -3 where metric = 'logs'",
        ("usage_not_negative",),
        "-3.000000000",
    ),
    Fault(
        "a day's peak is above the day",
        f"update {BY_DATE} set peak_per_minute = 121 where billing_date = '2026-09-01'",
        ("peaks_not_above_usage",),
        "121.000000000",
    ),
    Fault(
        "a month's percentile is above its peak",
        "update usage.usage_monthly set p95_per_minute = 1.000000001 where account_id = 'acme'",
        ("peaks_not_above_usage",),
        "1.000000001",
    ),
    Fault(
        "usage has no price",
        "insert into billing.unpriced_usage values ('2026-09', 'acme', 'gpu', 'gpu_hours', 'eu', 'basic', '2026-09-01',"
        " '2026-09-02', 4, 'h', 2)",
        ("no_unpriced_usage",),
        "gpu",
    ),
    Fault(
        "late usage of a closed period has no price",
        "insert into billing.unpriced_usage values ('2026-08', 'acme', 'gpu', 'gpu_hours', 'eu', 'basic', '2026-08-01',"
        " '2026-08-02', 4, 'h', 2)",
        ("no_unpriced_usage",),
        "2026-08",
    ),
    Fault(
        "billable usage has no line",
        "update staging.stg_reference__skus set billable = true where sku = 'logs'",
        ("every_billable_usage_has_a_line",),
        "logs",
    ),
    Fault(
        "usage of a SKU that nobody described has no line",
        "delete from staging.stg_reference__skus where sku = 'logs'",
        ("every_billable_usage_has_a_line",),
        "logs",
    ),
    Fault(
        "a line rests on no usage",
        "insert into billing.invoice_lines values ('L9', '2026-09', '2026-09', 'acme', 'usage', 'ghost', 'eu', 'p1',"
        " 'per_unit', 5, 'call', 'USD', 0, 0, 'provisional', 1);"
        "update billing.invoices set line_count = 4 where account_id = 'acme' and billing_period = '2026-09'",
        ("every_line_has_usage",),
        "L9",
    ),
    Fault(
        "a line stands in another region than its usage",
        "update billing.invoice_lines set region = 'mars' where line_id = 'L4'",
        ("every_billable_usage_has_a_line", "every_line_has_usage"),
        "us",
    ),
    Fault(
        "two slices of a price change overlap by one call",
        "update billing.invoice_lines set quantity = 121 where line_id = 'L1'",
        ("line_quantities_match_usage",),
        "201.000000000",
    ),
    Fault(
        "a tier is off by the twelfth digit",
        "update billing.invoice_line_tiers set tier_amount = tier_amount + 0.000000000001 where line_id = 'L2'"
        " and tier_number = 2",
        ("tiers_sum_to_lines",),
        "9.995000000001",
    ),
    Fault(
        "a line has no tiers",
        "delete from billing.invoice_line_tiers where line_id = 'L3'",
        ("tiers_sum_to_lines",),
        "L3",
    ),
    Fault(
        "an invoice is a cent too high",
        "update billing.invoices set amount = amount + 0.01 where account_id = 'blue'",
        ("lines_sum_to_invoices",),
        "10.120000",
    ),
    Fault(
        "an invoice counts a line too many",
        "update billing.invoices set line_count = line_count + 1 where account_id = 'blue'",
        ("lines_sum_to_invoices",),
        "blue",
    ),
    Fault(
        "an invoice is missing",
        "delete from billing.invoices where account_id = 'kiku'",
        ("lines_sum_to_invoices",),
        "kiku",
    ),
    Fault("a line is rounded up", _line_costs("L4", "blue", "10.13"), ("amounts_rounded_to_minor_unit",), "L4"),
    Fault("a half is rounded to even", _line_costs("L5", "kiku", "502"), ("amounts_rounded_to_minor_unit",), "L5"),
    Fault(
        "a line keeps fractions of a yen", _line_costs("L5", "kiku", "502.5"), ("amounts_rounded_to_minor_unit",), "L5"
    ),
    Fault(
        "a line id was used in an earlier period",
        "update billing.invoice_lines set line_id = 'L6' where line_id = 'L0'",
        ("line_ids_unique",),
        "L6",
    ),
    Fault(
        "a currency is unknown",
        "delete from billing.currencies where currency_code = 'JPY'",
        ("currencies_known",),
        "JPY",
    ),
    Fault(
        "a line has no type",
        "update billing.invoice_lines set line_type = null where line_id = 'L6'",
        ("amounts_present",),
        "L6",
    ),
    Fault(
        "the ledger has nothing in a billed currency",
        "delete from staging.stg_reference__finance_ledger where currency_code = 'JPY';"
        "update finance.ledger_reconciliation set ledger_amount = null, difference_amount = 503,"
        " cause = 'missing_in_ledger' where currency_code = 'JPY'",
        ("ledger_present", "reconciliation_account_gap", "reconciliation_total_gap"),
        "JPY",
    ),
    Fault(
        "the reconciliation leaves out a cent that is billed",
        "update finance.ledger_reconciliation set billed_amount = 10.10, difference_amount = 0, cause = null"
        " where account_id = 'blue'",
        ("reconciliation_covers_billing",),
        "10.110000",
    ),
    Fault(
        "the reconciliation leaves out an account of the ledger",
        "insert into staging.stg_reference__finance_ledger"
        " values ('e9', '2026-09', 'zed', 'api', 'USD', 5, '2026-10-02')",
        ("reconciliation_covers_ledger",),
        "zed",
    ),
    Fault(
        "the total gap is over half a percent",
        _ledger_says("acme", "api", "21.30", "price"),
        ("reconciliation_total_gap",),
        "0.5445 %",
    ),
    Fault(
        "breaks of two accounts cancel out",
        _ledger_says("acme", "api", "22.40", "price") + ";" + _ledger_says("blue", "storage", "9.71", "price"),
        ("reconciliation_total_gap",),
        "USD",
    ),
    Fault(
        "one account's gap is over two percent of a large month",
        _line_costs("L3", "acme", "9999", "9999") + ";" + _ledger_says("blue", "storage", "9.00", "late_usage"),
        ("reconciliation_account_gap",),
        "blue",
    ),
    Fault(
        "more than one percent is unexplained",
        _ledger_says("kiku", "storage", "497", "unexplained"),
        ("reconciliation_total_gap", "reconciliation_unexplained"),
        "JPY",
    ),
    Fault(
        "a break has no cause",
        "update finance.ledger_reconciliation set cause = null where account_id = 'blue'",
        ("breaks_have_causes",),
        "0.010000",
    ),
    Fault(
        "a break has a cause that is none",
        "update finance.ledger_reconciliation set cause = 'gremlins' where account_id = 'blue'",
        ("breaks_have_causes",),
        "gremlins",
    ),
    Fault(
        "a difference has the wrong sign",
        "update finance.ledger_reconciliation set difference_amount = -0.01 where account_id = 'blue'",
        ("breaks_sum_to_gap",),
        "-0.010000",
    ),
)


@pytest.fixture(autouse=True)
def without_data_docs(monkeypatch):
    """Rendering takes a third of a run's time and has tests of its own."""
    monkeypatch.setattr("orchestration.gates.validating._write_data_docs", lambda settings, context: None)


def test_every_gate_passes_on_good_data(make_home):
    run = run_gates(make_home(), PERIOD, AS_OF)
    assert [(row["gate"], row["detail"]) for row in run.results if not row["passed"]] == []
    assert [row["gate"] for row in run.results] == list(GATE_NAMES)
    assert run.passed


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_fault_breaks_its_gates_and_no_other(make_home, fault):
    run = run_gates(make_home(fault.change), PERIOD, AS_OF)
    failed = {row["gate"]: row for row in run.results if not row["passed"]}
    assert sorted(failed) == sorted(fault.breaks)
    assert not run.passed
    shown = failed[fault.breaks[0]]
    assert fault.shows in {str(value) for row in shown["failed_rows"] for value in row.values()}
    assert fault.shows in shown["detail"]


def _negative_month(metric: str, quantity: int, allow_negative: str) -> str:
    """One metric's only month below zero, in every mart that shows it; its line, if it has one, follows."""
    of = f"metric = '{metric}' and account_id = 'kiku'"
    return (
        f"delete from {POSTED} where {_numbered(of)} and batch_id = 2;"
        + _in(EVERY_ROLLUP, f"quantity = {quantity}, event_count = 1", of)
        + f";update billing.invoice_lines set quantity = {quantity} where account_id = 'kiku' and sku = '{metric}';"
        f"update staging.stg_reference__metrics set allow_negative = {allow_negative} where metric = '{metric}'"
    )


@pytest.mark.parametrize("metric", ["storage", "logs"], ids=["billable", "not billable"])
def test_negative_usage_of_a_metric_that_may_be_negative_blocks_nothing(make_home, metric):
    run = run_gates(make_home(_negative_month(metric, -4, "true")), PERIOD, AS_OF)
    assert [(row["gate"], row["detail"]) for row in run.results if not row["passed"]] == []
    assert run.passed


@pytest.mark.parametrize("allow_negative", ["false", "null"])
@pytest.mark.parametrize("metric", ["storage", "logs"], ids=["billable", "not billable"])
def test_negative_usage_of_any_other_metric_blocks(make_home, metric, allow_negative):
    run = run_gates(make_home(_negative_month(metric, -4, allow_negative)), PERIOD, AS_OF)
    row = next(row for row in run.results if row["gate"] == "usage_not_negative")
    assert not run.passed
    assert not row["passed"]
    assert [(shown["metric"], shown["quantity"]) for shown in row["failed_rows"]] == [(metric, "-4.000000000")]


def test_negative_usage_of_an_unregistered_metric_blocks(make_home):
    change = _negative_month("logs", -4, "true") + ";delete from staging.stg_reference__metrics where metric = 'logs'"
    run = run_gates(make_home(change), PERIOD, AS_OF)
    assert "usage_not_negative" in {row["gate"] for row in run.blocking}


def test_fewer_than_no_events_block_whatever_the_metric_allows(make_home):
    change = _negative_month("logs", -4, "true") + ";" + _in(EVERY_ROLLUP, "event_count = -1", "metric = 'logs'")
    run = run_gates(make_home(change), PERIOD, AS_OF)
    assert [row["gate"] for row in run.blocking] == ["usage_not_negative"]


def test_figures_that_do_not_add_up_may_differ_from_their_parts(make_home):
    change = (
        "update staging.stg_reference__metrics set aggregation = 'max' where metric = 'logs';"
        f"update {BY_HOUR} set quantity = 2 where item_id = 104; update {BY_DATE} set quantity = 5 where item_id = 104"
    )
    run = run_gates(make_home(change), PERIOD, AS_OF)
    assert [(row["gate"], row["detail"]) for row in run.results if not row["passed"]] == []


def test_different_hours_and_dates_are_not_doubled(make_home):
    """Kolkata's midnight divides an hour of UTC between two dates; the last hour is 32 hours after it."""
    change = f"""
        insert into {BY_HOUR} values
            ('2026-09-10 18:00', '2026-09-10', 1, 101, 0, 0, 0), ('2026-09-10 18:00', '2026-09-11', 1, 101, 0, 0, 0),
            ('2026-09-12 02:00', '2026-09-11', 1, 101, 0, 0, 0)
    """
    run = run_gates(make_home(change), PERIOD, AS_OF)
    assert [(row["gate"], row["detail"]) for row in run.results if not row["passed"]] == []


def test_a_number_of_another_month_may_stand_for_the_same_texts(make_home):
    """A metric gets a new number when its unit changes, and keeps its name."""
    change = (
        "insert into intermediate.int_kinds_decided values (109, 'api_calls', 'api', 'eu', 'kilocall', 'count');"
        f"update {POSTED} set item_id = 109 where month(billing_date) = 8;"
        f"update {BY_HOUR} set item_id = 109 where month(billing_date) = 8;"
        f"update {BY_DATE} set item_id = 109 where month(billing_date) = 8"
    )
    run = run_gates(make_home(change), PERIOD, AS_OF)
    assert [(row["gate"], row["detail"]) for row in run.results if not row["passed"]] == []


@pytest.mark.parametrize(
    ("relation", "breaks"),
    [
        (POSTED, "postings_sum_to_hourly"),
        (BY_HOUR, "hourly_sums_to_daily"),
        (BY_DATE, "hourly_sums_to_daily"),
        (MONTHLY, "daily_sums_to_monthly"),
        ("intermediate.int_holders_decided", "usage_shown_in_full"),
        ("intermediate.int_kinds_decided", "usage_shown_in_full"),
    ],
)
def test_what_is_missing_is_not_taken_for_good(make_home, relation, breaks):
    run = run_gates(make_home(f"delete from {relation}"), PERIOD, AS_OF)
    assert breaks in {row["gate"] for row in run.blocking}


def test_gate_names_are_unique_snake_case():
    assert len(set(GATE_NAMES)) == len(GATE_NAMES)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in GATE_NAMES)


def test_every_gate_has_a_fault_that_breaks_it():
    assert {gate for fault in FAULTS for gate in fault.breaks} == set(GATE_NAMES)

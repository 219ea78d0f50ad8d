"""Exports: what is in the files, for whom, and what never gets out."""

import csv
import hashlib
import io
import re
import stat
import zlib
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from small_home import ACCOUNTS, CLOSED_AT, OCTOBER, SEPTEMBER

from orchestration.errors import UsageWarehouseError
from orchestration.publishing import FORMATS, export, publish
from orchestration.publishing.focus import SERVICE_CATEGORIES
from orchestration.publishing.statements import Statement, money, render

ODD = "../acct/odd"
MARTS_BY_PERIOD = {
    "usage_monthly", "late_usage", "invoice_lines", "invoices", "billing_periods", "unpriced_usage",
    "ledger_reconciliation", "gate_results", "line_allocations", "credit_balances",
    "invoice_line_tiers",
}  # fmt: skip


def change_warehouse(settings, statement):
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute(statement)


def ask(settings, query):
    with duckdb.connect(str(settings.published / "finance.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def read_csv(path) -> list[dict]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


def by_name(paths) -> dict[str, Path]:
    return {path.name: path for path in paths}


# --- CSV and Parquet ------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_there_is_one_file_per_mart_with_a_period(published, tmp_path, format):
    paths = export(published, "finance", SEPTEMBER, format, tmp_path / "out")
    assert {path.name for path in paths} == {f"{mart}_{SEPTEMBER}.{format}" for mart in MARTS_BY_PERIOD}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in paths}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o640}


def test_a_csv_holds_the_periods_rows_to_the_last_digit(published, tmp_path):
    paths = by_name(export(published, "finance", SEPTEMBER, "csv", tmp_path))
    rows = read_csv(paths[f"invoice_lines_{SEPTEMBER}.csv"])
    expected = ask(published, f"select line_id, quantity::varchar, amount::varchar from billing.invoice_lines "
                         f"where billing_period = '{SEPTEMBER}' order by line_id")  # fmt: skip
    found = [(row["line_id"], row["quantity"], row["amount"]) for row in rows]
    assert sorted(found) == expected != []


def test_a_parquet_file_holds_the_same_types_and_rows(published, tmp_path):
    path = by_name(export(published, "finance", OCTOBER, "parquet", tmp_path))[
        f"ledger_reconciliation_{OCTOBER}.parquet"
    ]
    query = f"where billing_period = '{OCTOBER}' order by all"
    assert duckdb.sql(f"from '{path}' order by all").fetchall() == ask(
        published, f"from finance.ledger_reconciliation {query}"
    )
    assert (
        dict(duckdb.sql(f"select column_name, column_type from (describe '{path}')").fetchall())["billed_amount"]
        == "DECIMAL(38,6)"
    )


@pytest.mark.parametrize("format", FORMATS)
def test_exporting_twice_gives_the_same_bytes(published, tmp_path, format):
    hashes = []
    for folder in ("one", "two"):
        paths = export(published, "finance", SEPTEMBER, format, tmp_path / folder)
        hashes.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths})
    assert hashes[0] == hashes[1] != {}


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("account", ["acct-alpha", ODD, "acct-beta"])
def test_an_account_gets_nothing_of_anybody_else(home, tmp_path, format, account):
    change_warehouse(
        home,
        f"""
        insert into usage.late_usage select '{SEPTEMBER}', account_id, 'm', 's', 'global', 'u', 1, 1, 3
            from reference_accounts;
        insert into billing.unpriced_usage (billing_period, account_id) select '{SEPTEMBER}', account_id
            from reference_accounts;
        insert into billing.line_allocations (billing_period, account_id) select '{SEPTEMBER}', account_id
            from reference_accounts;
        insert into billing.credit_balances (billing_period, account_id) select '{SEPTEMBER}', account_id
            from reference_accounts;
        insert into operations.gate_results (gate, billing_period, observed)
            values ('a_gate', '{SEPTEMBER}', 'acct-gamma: 7')""",
    )
    publish(home)
    paths = export(home, "finance", SEPTEMBER, format, tmp_path / "out", account=account)
    assert {path.name.split(f"_{SEPTEMBER}")[0] for path in paths} == MARTS_BY_PERIOD - {
        "invoice_line_tiers",
        "billing_periods", "gate_results",
    }  # fmt: skip
    assert all(path.parent == tmp_path / "out" for path in paths)
    for path in paths:
        rows = duckdb.sql(f"select distinct account_id from '{path}'").fetchall()
        assert rows == [(account,)], path.name


def test_formulas_are_defused_and_numbers_are_not(home, tmp_path):
    change_warehouse(
        home,
        """
        create table names as
            select unnest(['=1+1', '+1', '-1', '@x', chr(9) || '=1', '＝1', 'a=1', '''x', '']) as name;
        insert into usage.late_usage
            select '2026-09', 'acct-alpha', name, 's', 'global', 'u', -5, 1, 3 from names""",
    )
    publish(home)
    rows = read_csv(by_name(export(home, "finance", SEPTEMBER, "csv", tmp_path))[f"late_usage_{SEPTEMBER}.csv"])
    assert {row["metric"] for row in rows} == {
        "'=1+1", "'+1", "'-1", "'@x", "'\t=1", "'＝1", "a=1", "'x", "",
    }  # fmt: skip
    assert {row["quantity"] for row in rows} == {"-5.000000000"}


def test_no_separator_begins_a_cell_inside_a_text(home, tmp_path):
    """A spreadsheet that separates by `;` would else find a cell `=1+1` here."""
    change_warehouse(
        home, "insert into usage.late_usage select '2026-09', 'acct-alpha', 'a;=1+1', null, 'global', 'u', -5, 1, 3"
    )
    publish(home)
    path = by_name(export(home, "finance", SEPTEMBER, "csv", tmp_path))[f"late_usage_{SEPTEMBER}.csv"]
    assert path.read_text().splitlines()[1] == '"2026-09","acct-alpha","a;=1+1",,"global","u",-5.000000000,1,3'
    parquet = by_name(export(home, "finance", SEPTEMBER, "parquet", tmp_path))[f"late_usage_{SEPTEMBER}.parquet"]
    assert duckdb.sql(f"select metric from '{parquet}'").fetchall() == [("a;=1+1",)]


def test_hard_texts_survive_the_csv(home, tmp_path):
    change_warehouse(home, "insert into usage.late_usage values ('2026-09', 'a,\"b\"' || chr(10) || 'ü', null, '', "
                           "'global', 'u', 1, 1, 3)")  # fmt: skip
    publish(home)
    path = by_name(export(home, "finance", SEPTEMBER, "csv", tmp_path))[f"late_usage_{SEPTEMBER}.csv"]
    [row] = read_csv(path)
    assert row["account_id"] == 'a,"b"\nü'
    assert path.read_text().splitlines()[2].startswith('ü",,"",')  # null and empty stay apart


def test_finance_cannot_export_what_only_analysts_see(published, tmp_path):
    for audience in ("finance", "analyst"):
        names = {path.name for path in export(published, audience, SEPTEMBER, "csv", tmp_path / audience)}
        assert not any("usage_events" in name or "usage_hourly" in name for name in names)


def test_only_the_published_file_is_read(home, tmp_path):
    home.warehouse.unlink()
    for format in FORMATS:
        assert export(home, "finance", SEPTEMBER, format, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"audience": "everybody"}, "unknown audience 'everybody'"),
        ({"audience": "../finance"}, "unknown audience"),
        ({"period": "2027-01"}, "no usage in billing period 2027-01; published periods: 2026-09, 2026-10"),
        ({"period": "2026-1"}, "not a billing period"),
        ({"period": "' or true --"}, "not a billing period"),
        ({"format": "xlsx"}, "unknown format 'xlsx'"),
        ({"account": "acct-nobody"}, "unknown account 'acct-nobody'"),
        ({"account": "' or '1'='1"}, "unknown account"),
        ({"account": ""}, "unknown account ''"),
    ],
)
def test_what_is_unknown_is_refused_and_nothing_is_written(published, tmp_path, arguments, message):
    asked = {"audience": "finance", "period": SEPTEMBER, "format": "csv", "out": tmp_path / "out", **arguments}
    with pytest.raises(UsageWarehouseError, match=re.escape(message)):
        export(published, **asked)
    assert not (tmp_path / "out").exists()


def test_before_the_first_publication_there_is_nothing_to_export(home, tmp_path):
    (home.published / "finance.duckdb").unlink()
    with pytest.raises(UsageWarehouseError, match="nothing has been published yet"):
        export(home, "finance", SEPTEMBER, "csv", tmp_path)


def test_a_folder_that_cannot_be_made_is_one_plain_error(published, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageWarehouseError, match="cannot write to"):
        export(published, "finance", SEPTEMBER, "csv", tmp_path / "file")


# --- FOCUS ------------------------------------------------------------------------------------------

MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName", "ServiceSubcategory",
}  # fmt: skip
NOT_NULL = MANDATORY - {"BillingAccountName", "ChargeClass", "PricingQuantity", "PricingUnit"}


def focus_rows(settings, out, period=SEPTEMBER, **options):
    [path] = export(settings, "finance", period, "focus", out, **options)
    return read_csv(path)


def test_focus_has_the_specifications_columns_and_no_holes(published, tmp_path):
    rows = focus_rows(published, tmp_path)
    assert set(rows[0]) >= MANDATORY | {
        "BillingAccountType", "ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "InvoiceId", "RegionId",
        "RegionName", "SkuId", "SkuPriceId", "SubAccountId",
    }  # fmt: skip
    assert all(row[column] for row in rows for column in NOT_NULL)
    assert all(name.startswith("x_") or name[0].isupper() for name in rows[0])
    assert {row["ServiceCategory"] for row in rows} <= set(SERVICE_CATEGORIES)
    assert {row["ServiceSubcategory"] for row in rows} == {"Other (Developer Tools)", "Other (Storage)"}


def test_focus_adds_up_to_the_invoices(published, tmp_path):
    billed = {}
    for row in focus_rows(published, tmp_path):
        key = (row["BillingAccountId"], row["BillingCurrency"])
        billed[key] = billed.get(key, Decimal(0)) + Decimal(row["BilledCost"])
    expected = ask(published, f"select account_id, currency_code, amount from billing.invoices "
                         f"where billing_period = '{SEPTEMBER}'")  # fmt: skip
    assert billed == {(account, currency): amount for account, currency, amount in expected}


def test_focus_times_are_utc_and_charge_periods_local(published, tmp_path):
    rows = {row["BillingAccountId"]: row for row in focus_rows(published, tmp_path)}
    assert {(row["BillingPeriodStart"], row["BillingPeriodEnd"]) for row in rows.values()} == {
        ("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z")
    }
    assert [rows[account]["ChargePeriodStart"] for account in ("acct-alpha", "acct-beta", "acct-gamma", ODD)] == [
        "2026-08-31T22:00:00Z", "2026-09-01T04:00:00Z", "2026-08-31T15:00:00Z", "2026-09-01T00:00:00Z",
    ]  # fmt: skip


def test_focus_unit_prices_times_quantities_are_the_costs(published, tmp_path):
    for row in focus_rows(published, tmp_path):
        assert Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"]) == Decimal(row["ListCost"])
        assert row["ContractedCost"] == row["ListCost"] and row["BilledCost"] == row["EffectiveCost"]


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize(
    ("charge_type", "expected"),
    [
        ("usage", ("Usage", "Usage-Based")),
        ("subscription", ("Purchase", "Recurring")),
        ("minimum", ("Adjustment", "One-Time")),
        ("discount", ("Adjustment", "Recurring")),
        ("credit", ("Credit", "One-Time")),
    ],
)
def test_focus_charges_are_told_apart(home, tmp_path, charge_type, expected, corrected):
    line_type = "adjustment" if corrected else charge_type
    change_warehouse(
        home,
        f"update billing.invoice_lines set line_type = '{line_type}', charge_type = '{charge_type}', "
        "origin_period = '2026-08'",
    )
    publish(home)
    rows = focus_rows(home, tmp_path)
    assert {(row["ChargeCategory"], row["ChargeFrequency"]) for row in rows} == {expected}
    assert {row["ChargeClass"] for row in rows} == {"Correction" if corrected else ""}
    assert all(bool(row["ConsumedQuantity"]) == (expected[0] == "Usage") for row in rows)
    assert {row["ChargePeriodStart"][:7] for row in rows} <= {"2026-07", "2026-08"}


def test_focus_tiers_have_no_one_unit_price(home, tmp_path):
    change_warehouse(home, "insert into billing.invoice_line_tiers "
                           "select * replace (2 as tier_number) from billing.invoice_line_tiers")  # fmt: skip
    publish(home)
    assert {row["ListUnitPrice"] for row in focus_rows(home, tmp_path)} == {""}


@pytest.mark.parametrize("pricing_model", ["package", "percentage", "graduated_percentage", "flat"])
def test_focus_other_prices_are_no_unit_prices(home, tmp_path, pricing_model):
    """The price of a package or a percentage times the quantity would not be the cost."""
    change_warehouse(home, f"update billing.invoice_lines set pricing_model = '{pricing_model}'")
    publish(home)
    assert {row["ListUnitPrice"] for row in focus_rows(home, tmp_path)} == {""}


def test_focus_flat_prices_and_unknown_services(home, tmp_path):
    change_warehouse(
        home,
        """
        update billing.invoice_lines set pricing_model = 'flat', quantity = 0.5;
        update reference_skus set service_category = 'Party balloons', service_name = null""",
    )
    publish(home)
    for row in focus_rows(home, tmp_path):
        assert (row["ChargeCategory"], row["ChargeFrequency"]) == ("Purchase", "Recurring")
        assert (row["ServiceCategory"], row["ServiceSubcategory"]) == ("Other", "Other (Other)")
        assert row["ServiceName"] == row["SkuId"]
        assert row["ChargeDescription"].endswith("usage of 2026-09, 0.5 unit")


def test_focus_invoices_exist_once_they_are_final(home, tmp_path):
    assert {row["InvoiceId"] for row in focus_rows(home, tmp_path)} == {""}
    change_warehouse(home, "update billing.invoice_lines set status = 'final'")
    publish(home)
    assert "2026-09/acct-alpha/EUR" in {row["InvoiceId"] for row in focus_rows(home, tmp_path)}


def test_focus_of_a_child_names_the_account_that_is_invoiced(home, tmp_path):
    change_warehouse(
        home, "update billing.invoice_lines set invoice_account_id = 'acct-alpha' where account_id = 'acct-beta'"
    )
    publish(home)
    of_beta = focus_rows(home, tmp_path, account="acct-beta")
    assert {(row["BillingAccountId"], row["SubAccountId"]) for row in of_beta} == {("acct-alpha", "acct-beta")}
    of_alpha = focus_rows(home, tmp_path / "parent", account="acct-alpha")
    assert {row["SubAccountId"] for row in of_alpha} == {"", "acct-beta"}


def test_focus_of_one_account(published, tmp_path):
    assert {row["BillingAccountId"] for row in focus_rows(published, tmp_path, account=ODD)} == {ODD}


# --- PDF --------------------------------------------------------------------------------------------


def text_of(path) -> str:
    """The words of a PDF, page after page (its streams, decompressed)."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", path.read_bytes(), re.DOTALL)
    words = []
    for stream in streams:
        try:
            content = zlib.decompress(stream)
        except zlib.error:
            continue
        words += [
            re.sub(rb"\\(.)", rb"\1", word).decode("windows-1252")
            for word in re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", content, re.DOTALL)
        ]
    return "\n".join(words)


def test_there_is_one_statement_per_account(published, tmp_path):
    paths = export(published, "finance", SEPTEMBER, "pdf", tmp_path)
    assert len(paths) == len(ACCOUNTS)
    assert all(path.read_bytes().startswith(b"%PDF") and path.parent == tmp_path for path in paths)
    assert [
        path.name for path in export(published, "finance", SEPTEMBER, "pdf", tmp_path / "one", account="acct-alpha")
    ] == ["statement_2026-09_acct-alpha.pdf"]


@pytest.mark.parametrize(("account", "currency", "decimals"), [("acct-alpha", "EUR", 2), ("acct-gamma", "JPY", 0)])
def test_a_statement_shows_lines_tiers_and_the_total_in_the_currency(published, tmp_path, account, currency, decimals):
    [path] = export(published, "finance", SEPTEMBER, "pdf", tmp_path, account=account)
    text = text_of(path)
    lines = ask(published, f"select amount, quantity, precise_amount from billing.invoice_lines "
                      f"where account_id = '{account}' and billing_period = '{SEPTEMBER}'")  # fmt: skip
    total = sum(amount for amount, _, _ in lines)
    assert f"Total {currency}\n{total:,.{decimals}f}" in text
    for amount, quantity, precise in lines:
        assert f"{quantity.normalize():f} unit\n{amount:,.{decimals}f}" in text
        assert f"tier 1: {quantity.normalize():f} × 0.25 = {precise.normalize():f}" in text
    assert account in text and "API calls" in text and "FINAL" in text


def test_an_open_period_is_said_to_be_provisional(published, tmp_path):
    [path] = export(published, "finance", OCTOBER, "pdf", tmp_path, account="acct-alpha")
    assert "PROVISIONAL: figures may still change" in text_of(path) and "FINAL" not in text_of(path)


def test_an_adjustment_names_the_period_that_it_corrects(home, tmp_path):
    change_warehouse(home, "update billing.invoice_lines set line_type = 'adjustment', origin_period = '2026-08' "
                           "where region = 'eu-1'")  # fmt: skip
    publish(home)
    [path] = export(home, "finance", SEPTEMBER, "pdf", tmp_path, account="acct-alpha")
    assert "API calls (adjustment of 2026-08)" in text_of(path)


def statement_of(name) -> Statement:
    """A statement with one line, in which the account and the SKU bear this name."""
    line = {
        "line_id": "line", "account_id": "a", "invoice_account_id": "a", "line_type": "usage", "sku": "api.calls", "sku_name": name, "region": name,
        "pricing_model": "per_unit", "quantity": Decimal("12345678901234567890123456789.123456789"), "unit": "unit",
        "amount": Decimal("0.25"), "currency_code": "USD", "billing_period": SEPTEMBER, "origin_period": SEPTEMBER,
    }  # fmt: skip
    return Statement(
        account={"account_id": "acct-alpha", "account_name": name},
        period=SEPTEMBER,
        status="final",
        dated=CLOSED_AT,
        invoices=[{"currency_code": "USD", "amount": Decimal("0.25")}],
        lines=[line],
        tiers={"line": []},
        minor_units={"USD": 2},
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Łódź Österreich €", "Lódz Österreich €"),
        ("東京", "??"),
        ("Ελλάδα", "???"),
        ("شركة", "????"),
        ("🙂" * 200, "???"),
        ("a\nb\tc\0d", "a b c d"),
        ("(paren\\thesis)", "(paren\\thesis)"),
        ("", ""),
        (None, ""),
        ("".join(bytes(range(32, 256)).decode("windows-1252", "ignore")), "ABCDEFG"),
        ("\u202egnp", "gnp"),
        ("**bold** __u__", "**bold** __u__"),
    ],
)
def test_names_in_any_script_do_not_crash(tmp_path, name, shown):
    render(statement_of(name)).output(str(tmp_path / "statement.pdf"))
    text = text_of(tmp_path / "statement.pdf")
    assert shown in text and "acct-alpha" in text


@pytest.mark.parametrize(
    ("unit_price", "rate_percent", "flat_fee", "shown"),
    [
        ("0.25", None, None, "tier 1: 1,000 × 0.25 = 7"),
        ("0.25", "0", "0", "tier 1: 1,000 × 0.25 = 7"),
        ("0", "2.5", "0.3", "tier 1: 1,000 × 2.5 % + 0.3 fee = 7"),
        (None, None, "7", "tier 1: 1,000 + 7 fee = 7"),
    ],
)
def test_a_tier_is_shown_as_the_sum_that_it_is(tmp_path, unit_price, rate_percent, flat_fee, shown):
    statement = statement_of("x")
    amounts = {"unit_price": unit_price, "rate_percent": rate_percent, "flat_fee": flat_fee}
    tier = {name: None if value is None else Decimal(value) for name, value in amounts.items()}
    tier |= {"tier_number": 1, "tier_quantity": Decimal("1000.000000000"), "tier_amount": Decimal("7.000000000000")}
    statement.tiers["line"].append(tier)
    render(statement).output(str(tmp_path / "statement.pdf"))
    assert shown in [line.strip() for line in text_of(tmp_path / "statement.pdf").splitlines()]


@pytest.mark.parametrize(
    ("value", "minor_unit", "shown"),
    [
        ("1234567.500000", 2, "1,234,567.50"),
        ("-0.010000", 2, "-0.01"),
        ("1200.000000", 0, "1,200"),
        ("1.234000", 3, "1.234"),
        ("0.000000", 2, "0.00"),
        ("99999999999999999999999999999999.120000", 2, "99,999,999,999,999,999,999,999,999,999,999.12"),
        ("1.234000", 2, "1.234"),  # more digits than the currency has are never rounded away
        ("1.500000", None, "1.5"),
    ],
)
def test_amounts_have_their_currencys_digits(value, minor_unit, shown):
    assert money(Decimal(value), minor_unit) == shown


def test_a_statement_of_many_lines_runs_over_pages(home, tmp_path):
    change_warehouse(
        home,
        """
        insert into billing.invoice_lines
            select line.* replace (line_id || number as line_id, 'r' || number as region)
            from billing.invoice_lines as line cross join range(100) as numbers (number)
            where account_id = 'acct-alpha' and region = 'eu-1';
        create or replace table billing.invoices as
            select billing_period, account_id, currency_code, sum(amount)::decimal(38, 6) as amount, 'x' as status,
                count(*) as line_count
            from billing.invoice_lines group by all""",
    )
    publish(home)
    [path] = export(home, "finance", SEPTEMBER, "pdf", tmp_path, account="acct-alpha")
    text = text_of(path)
    assert all(f"\nr{number}\n" in text for number in range(100))
    pages = len(re.findall(rb"/Type /Page\b", path.read_bytes()))
    assert pages > 2 and f"page {pages} of \n{pages}" in text


def test_a_statement_that_does_not_add_up_is_not_written(home, tmp_path):
    change_warehouse(home, "update billing.invoices set amount = amount + 0.01 where account_id = 'acct-beta'")
    publish(home)
    with pytest.raises(UsageWarehouseError, match="acct-beta in 2026-09 do not add up"):
        export(home, "finance", SEPTEMBER, "pdf", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_child_stands_on_the_statement_of_its_parent_and_has_none_of_its_own(home, tmp_path):
    change_warehouse(
        home,
        """
        update billing.invoice_lines set invoice_account_id = 'acct-alpha' where account_id = 'acct-beta';
        create or replace table billing.invoices as
            select billing_period, invoice_account_id as account_id, currency_code,
                sum(amount)::decimal(38, 6) as amount, 'x' as status, count(*) as line_count
            from billing.invoice_lines group by all""",
    )
    publish(home)
    with pytest.raises(UsageWarehouseError, match="acct-beta is charged on the invoice of acct-alpha in 2026-09"):
        export(home, "finance", SEPTEMBER, "pdf", tmp_path, account="acct-beta")
    [path] = export(home, "finance", SEPTEMBER, "pdf", tmp_path, account="acct-alpha")
    assert "acct-beta: API calls" in text_of(path)


def test_an_account_without_charges_gets_a_statement_that_says_so(home, tmp_path):
    change_warehouse(home, "insert into reference_accounts values ('acct-new', 'New', 'UTC', 'USD')")
    publish(home)
    [path] = export(home, "finance", SEPTEMBER, "pdf", tmp_path, account="acct-new")
    assert "No charges in this period." in text_of(path)

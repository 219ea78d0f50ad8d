"""A small home with the marts of the contract, made by hand: three batches, two periods, three currencies, odd texts.

Sum of it: September's usage came with batches 1 and 2, October's with batch 3. Amounts are priced at 0.25 per unit.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration.sealing import seal
from orchestration.settings import Settings

SEPTEMBER, OCTOBER = "2026-09", "2026-10"
CLOSED_AT = datetime(2026, 10, 5, tzinfo=UTC)
ACCOUNTS = (
    ("acct-alpha", "Alpha GmbH", "Europe/Berlin", "EUR"),
    ("acct-beta", '=Beta, "Quoted" & Söhne', "America/New_York", "USD"),
    ("acct-gamma", "ガンマ株式会社", "Asia/Tokyo", "JPY"),
    ("../acct/odd", "@Odd 'name'\nsecond line", "UTC", "USD"),
)
SKUS = (
    ("api.calls", "api_calls", "API calls", "API", "Developer Tools"),
    ("storage.gb", "storage", "Storage", "Object storage", "Storage"),
)
REGIONS = ("eu-1", "global")
SECRET_KEY = "key-secret-0001-abcd"

SCHEMAS = ("staging", "intermediate", "usage", "billing", "finance", "operations")

TABLES = """
create table operations.batches (
    batch_id bigint, landed_at timestamp, files bigint, records bigint, rejected bigint,
    first_event_ts timestamp, last_event_ts timestamp);
create table operations.event_conservation (
    batch_id bigint, records bigint, rejected bigint, duplicates bigint, held bigint, unattributed bigint,
    attributed bigint, difference bigint);
create table operations.gate_results (
    gate varchar, billing_period varchar, cutoff_batch_id bigint, checked_at timestamp, passed boolean,
    observed varchar, "limit" varchar);
create table operations.pipeline_slis (
    sli_date date, sli varchar, value decimal(38, 12), target decimal(38, 12), met boolean);
create table billing.currencies (currency_code varchar, minor_unit integer);
create table billing.billing_periods (
    billing_period varchar, status varchar, cutoff_batch_id bigint, finalized_at timestamp, receipt_sha256 varchar);
create table billing.unpriced_usage (
    billing_period varchar, account_id varchar, sku varchar, metric varchar, region varchar, plan_id varchar,
    first_date date, last_date date, quantity decimal(38, 9), unit varchar, event_count bigint);
create table usage.unattributed_usage (
    first_seen_date date, key_type varchar, key_value varchar, metric varchar, sku varchar, region varchar,
    quantity decimal(38, 9), event_count bigint, amount_at_risk decimal(38, 12), currency_code varchar,
    age_days integer);
create table usage.late_usage (
    billing_period varchar, account_id varchar, metric varchar, sku varchar, region varchar, unit varchar,
    quantity decimal(38, 9), event_count bigint, first_batch_id bigint);
create table usage.held_usage (
    landed_batch_id bigint, reason varchar, metric varchar, unit varchar, producer varchar, quantity decimal(38, 9),
    event_count bigint);
create table reference_accounts (
    account_id varchar, account_name varchar, billing_timezone varchar, currency_code varchar);
create table reference_skus (
    sku varchar, metric varchar, sku_name varchar, service_name varchar, service_category varchar);
create table reference_metrics (metric varchar, aggregation varchar);
create view staging.stg_reference__accounts as
    select account_id, account_name, null::varchar as segment, null::varchar as parent_account_id,
        billing_timezone, currency_code, 1::bigint as batch_id
    from warehouse.main.reference_accounts;
create view staging.stg_reference__skus as
    select *, true as billable, 1::bigint as batch_id from warehouse.main.reference_skus;
create view staging.stg_reference__metrics as select * from warehouse.main.reference_metrics;
"""

# quantities with nine digits; a second posting of each hour comes with the period's last batch
POSTINGS = """
create table intermediate.int_usage_postings as
select
    case when month(day) = 10 then 3 when part = 1 then 1 else 2 end::bigint as batch_id,
    day + interval 5 hour as usage_hour,
    day::date as billing_date,
    account_id, sku.metric, sku.sku, region, 'unit' as unit,
    (10 + day(day) + part / 3 + length(account_id))::decimal(38, 9) as quantity,
    part::bigint as event_count,
    0::decimal(38, 9) as quantity_variance
from (select unnest(generate_series(timestamp '2026-09-28', timestamp '2026-10-03', interval 1 day)) as day) as days
cross join reference_accounts
cross join reference_skus as sku
cross join (select unnest($regions) as region) as regions
cross join (values (1), (2)) as parts (part)
where month(day) = 9 or $last_batch >= 3
"""

MARTS = """
delete from intermediate.int_usage_postings where batch_id > $last_batch;
create table intermediate.int_usage_series as
    select dense_rank() over (order by account_id) as account_number,
        dense_rank() over (order by metric, sku, region, unit) as item_id, account_id, metric, sku, region, unit
    from (select distinct account_id, metric, sku, region, unit from intermediate.int_usage_postings);
create table intermediate.int_usage_by_hour as
    select usage_hour, billing_date, account_number, item_id, sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count, 0::decimal(38, 9) as quantity_variance
    from intermediate.int_usage_postings inner join intermediate.int_usage_series
        using (account_id, metric, sku, region, unit) group by all;
create table intermediate.int_usage_by_date as
    select billing_date, account_number, item_id, sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count) as event_count, max(quantity) as peak_per_minute
    from intermediate.int_usage_by_hour group by all;
create view usage.usage_hourly as
    select usage_hour, billing_date, account_id, metric, sku, region, unit, quantity, event_count, quantity_variance
    from intermediate.int_usage_by_hour inner join intermediate.int_usage_series using (account_number, item_id);
create view usage.usage_daily as
    select billing_date, account_id, metric, sku, region, unit, quantity, event_count, peak_per_minute
    from intermediate.int_usage_by_date inner join intermediate.int_usage_series using (account_number, item_id);
create table usage.usage_monthly as
    select strftime(billing_date, '%Y-%m') as billing_period, account_id, metric, sku, region, unit,
        sum(quantity)::decimal(38, 9) as quantity, sum(event_count)::bigint as event_count,
        max(quantity) as peak_per_minute, max(quantity) as p95_per_minute, 'provisional' as period_status
    from intermediate.int_usage_postings group by all;
create table billing.invoice_lines as
    select sha256(billing_period || account_id || sku || region) as line_id, billing_period,
        billing_period as origin_period, account_id, account_id as invoice_account_id, 'usage' as line_type,
        'usage' as charge_type, 'price-' || sku as reference_id, sku, region, 'price-' || sku as price_id,
        'per_unit' as pricing_model, quantity, unit, currency_code,
        (quantity * 0.25)::decimal(38, 12) as precise_amount,
        case currency_code when 'JPY' then round(quantity * 0.25, 0)::decimal(38, 6)
            else round(quantity * 0.25, 2)::decimal(38, 6) end as amount,
        'provisional' as status, 1 as version
    from usage.usage_monthly inner join reference_accounts using (account_id);
create table billing.invoice_line_tiers as
    select line_id, billing_period, 1 as tier_number, quantity as tier_quantity, 0.25::decimal(38, 12) as unit_price,
        null::decimal(38, 12) as flat_fee, precise_amount as tier_amount
    from billing.invoice_lines;
create table billing.invoices as
    select billing_period, account_id, currency_code, sum(amount)::decimal(38, 6) as amount, 'provisional' as status,
        count(*) as line_count
    from billing.invoice_lines group by all;
create table billing.line_allocations (
    line_id varchar, billing_period varchar, account_id varchar, sku varchar, currency_code varchar,
    weight_amount decimal(38, 6), allocated_amount decimal(38, 6));
create table billing.credit_balances (
    credit_id varchar, billing_period varchar, account_id varchar, currency_code varchar,
    opening_amount decimal(38, 6), burned_amount decimal(38, 6), expired_amount decimal(38, 6),
    closing_amount decimal(38, 6), status varchar);
insert into billing.credit_balances values ('credit-1', '2026-09', 'acct-beta', 'USD', 10, 4, 0, 6, 'provisional');
insert into billing.line_allocations values ('line-1', '2026-09', 'acct-beta', 'storage.gb', 'USD', 8, -4);
create table finance.ledger_reconciliation as
    select billing_period, account_id, sku, currency_code, sum(amount)::decimal(38, 6) as billed_amount,
        sum(amount)::decimal(38, 6) as ledger_amount, 0::decimal(38, 6) as difference_amount,
        0::decimal(38, 12) as difference_ratio, 'matched' as status, null::varchar as cause
    from billing.invoice_lines group by all;
insert into usage.unattributed_usage values
    ('2026-09-30', 'api_key', $secret, 'api_calls', 'api.calls', 'global', 3, 1, 0.75, 'USD', 5),
    ('2026-09-30', 'namespace', 'unknown-team', 'api_calls', 'api.calls', 'global', 4, 1, 1, 'USD', 5);
comment on table billing.invoice_lines is 'One line of an invoice; grain line_id.';
comment on column billing.invoice_lines.amount is 'Rounded once, in the currency''s minor unit.';
comment on column finance.ledger_reconciliation.cause is 'Why the two differ.';
"""


@dataclass(frozen=True)
class Passing:
    """A decision of the gates that lets a period close."""

    cutoff_batch_id: int
    allowed: bool = True
    reasons: tuple = ()
    results: tuple = ()
    waivers: tuple = ()


def passing(cutoff_batch_id: int):
    """A `decide` for finalize that lets every period close on that batch."""
    result = {
        "gate": "conservation_holds",
        "passed": True,
        "checked_at": CLOSED_AT,
        "observed": "0",
        "failed_rows": [{"batch_id": 1}],
    }
    return lambda settings, billing_period, as_of: Passing(cutoff_batch_id, results=(result,))


def build_home(home: Path, last_batch: int = 2) -> Settings:
    """A home whose lake holds the batches up to `last_batch`, and whose warehouse has taken them in."""
    settings = Settings(home=home, memory_limit="512MB", threads=2)
    for batch in range(1, last_batch + 1):
        land_batch(settings, batch)
    build_warehouse(settings, last_batch)
    return settings


def land_batch(settings: Settings, batch: int) -> None:
    """Lake files of one batch and its manifest; batches 1 and 2 land a version of the reference table `metrics`."""
    manifest = settings.lake / "batches" / f"batch={batch}.json"
    if manifest.exists():
        return
    folders = [f"lake/usage_events/landed_date=2026-10-0{batch}/batch={batch}"]
    references = []
    if batch < 3:
        folders.append(f"lake/reference/metrics/version={batch}")
    files = [_lake_file(settings, folder, rows=batch * 10) for folder in folders]
    if batch < 3:
        references = [
            {"table": "metrics", "version": batch, "sha256": files[1]["sha256"], "status": "landed", "faults": []},
            {"table": "prices", "version": 9, "sha256": "0" * 64, "status": "refused", "faults": ["broken"]},
        ]
    body = {
        "batch_id": batch,
        "landed_at": f"2026-10-0{batch}T02:00:00.000000Z",
        "files": [],
        "lake_files": files,
        "references": references,
    }
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_bytes(seal(body))


def _lake_file(settings: Settings, folder: str, rows: int) -> dict:
    path = settings.home / folder / "part-00000.parquet"
    path.parent.mkdir(parents=True)
    duckdb.sql(f"copy (select range as number from range({rows})) to '{path}' (format parquet)")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"path": path.relative_to(settings.home).as_posix(), "sha256": sha256, "rows": rows}


def build_warehouse(settings: Settings, last_batch: int) -> None:
    """Make warehouse.duckdb anew, as of a batch; periods with a receipt are final in it."""
    settings.warehouse.unlink(missing_ok=True)
    with duckdb.connect(str(settings.warehouse)) as connection:
        for schema in SCHEMAS:
            connection.execute(f"create schema {schema}")
        connection.execute(TABLES)
        connection.executemany("insert into reference_accounts values (?, ?, ?, ?)", ACCOUNTS)
        connection.executemany("insert into reference_skus values (?, ?, ?, ?, ?)", SKUS)
        connection.execute("insert into reference_metrics values ('api_calls', 'sum'), ('storage', 'sum')")
        connection.execute("insert into billing.currencies values ('EUR', 2), ('USD', 2), ('JPY', 0)")
        connection.execute(POSTINGS, {"regions": list(REGIONS), "last_batch": last_batch})
        _run(connection, MARTS, {"last_batch": last_batch, "secret": SECRET_KEY})
        for batch in range(1, last_batch + 1):
            connection.execute(
                "insert into operations.batches "
                "values ($1, timestamp '2026-10-01' + interval 1 day * $1, 1, 10, 0, null, null)",
                [batch],
            )
            connection.execute("insert into operations.event_conservation values ($1, 10, 0, 0, 0, 0, 10, 0)", [batch])
        for period in sorted(connection.sql("select distinct billing_period from usage.usage_monthly").fetchall()):
            connection.execute("insert into billing.billing_periods values (?, ?, ?, ?, ?)", _state(settings, *period))


def _run(connection: duckdb.DuckDBPyConnection, script: str, values: dict) -> None:
    for statement in filter(str.strip, script.split(";\n")):
        used = {key: value for key, value in values.items() if f"${key}" in statement}
        connection.execute(statement, used or None)


def _state(settings: Settings, period: str) -> tuple:
    receipt = settings.finalized / f"period={period}" / "receipt.json"
    if not receipt.exists():
        return period, "provisional", None, None, None
    body = json.loads(receipt.read_text())
    sha256 = hashlib.sha256(receipt.read_bytes()).hexdigest()
    return period, "final", body["cutoff_batch_id"], body["finalized_at"].removesuffix("Z"), sha256

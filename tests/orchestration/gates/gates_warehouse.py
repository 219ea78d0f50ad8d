"""A small warehouse made by hand: the relations that gates read, typed as in the contract, on which every gate passes.

Three accounts, two currencies (one without minor units), a graduated price, a flat price, a price change inside the
month, a SKU that is not billable, half-hour and daylight-saving time zones, and a ledger that is off by one cent.
Postings, hours and days are stored with numbers in the place of texts and shown by views, as in the real one.
Figures are small enough to check by eye. Periods: 2026-08 (final at batch 1), 2026-09 (the one under test), 2026-10
(running).
"""

from pathlib import Path

import duckdb

PERIOD = "2026-09"
CUTOFF = 2

TABLES = """
create schema staging; create schema intermediate; create schema usage; create schema billing; create schema finance;
create schema operations;

create table operations.batches (
    batch_id bigint, landed_at timestamp, files bigint, records bigint, rejected bigint, first_event_ts timestamp,
    last_event_ts timestamp
);
create table operations.event_conservation (
    batch_id bigint, records bigint, rejected bigint, duplicates bigint, held bigint, unattributed bigint,
    attributed bigint, difference bigint
);
create table intermediate.int_kinds_decided (
    kind_id bigint, metric varchar, billed_sku varchar, region varchar, billed_unit varchar, aggregation varchar
);
create table intermediate.int_holders_decided (holder_id bigint, resolved_account_id varchar);
create table intermediate.int_usage_posted (
    batch_id bigint, usage_hour timestamp, billing_date date, account_number bigint, item_id bigint,
    quantity decimal(38, 9), event_count bigint, quantity_variance decimal(38, 9)
);
create table intermediate.int_usage_by_hour (
    usage_hour timestamp, billing_date date, account_number bigint, item_id bigint, quantity decimal(38, 9),
    event_count bigint, quantity_variance decimal(38, 9)
);
create table intermediate.int_usage_by_date (
    billing_date date, account_number bigint, item_id bigint, quantity decimal(38, 9), event_count bigint,
    quantity_variance decimal(38, 9), peak_per_minute decimal(38, 9)
);
create table intermediate.int_level_changes (account_id varchar, metric varchar, batch_id bigint);
create table intermediate.int_batches_tested (tested_batch_id bigint, earlier_batch_id bigint);
create table usage.usage_monthly (
    billing_period varchar, account_id varchar, metric varchar, sku varchar, region varchar, unit varchar,
    quantity decimal(38, 9), event_count bigint, peak_per_minute decimal(38, 9), p95_per_minute decimal(38, 9),
    period_status varchar
);
create table billing.unpriced_usage (
    billing_period varchar, account_id varchar, sku varchar, metric varchar, region varchar, plan_id varchar,
    first_date date, last_date date, quantity decimal(38, 9), unit varchar, event_count bigint
);
create table billing.invoice_lines (
    line_id varchar, billing_period varchar, origin_period varchar, account_id varchar,
    invoice_account_id varchar as (account_id), line_type varchar, sku varchar, region varchar, price_id varchar,
    pricing_model varchar, quantity decimal(38, 9), unit varchar,
    currency_code varchar, precise_amount decimal(38, 12), amount decimal(38, 6), status varchar, version integer
);
create table billing.invoice_line_tiers (
    line_id varchar, tier_number integer, tier_quantity decimal(38, 9), unit_price decimal(38, 12),
    flat_fee decimal(38, 12), tier_amount decimal(38, 12)
);
create table billing.invoices (
    billing_period varchar, account_id varchar, currency_code varchar, amount decimal(38, 6), status varchar,
    line_count bigint
);
create table billing.billing_periods (
    billing_period varchar, status varchar, cutoff_batch_id bigint, finalized_at timestamp, receipt_sha256 varchar
);
create table billing.currencies (currency_code varchar, minor_unit integer);
create table finance.ledger_reconciliation (
    billing_period varchar, account_id varchar, sku varchar, currency_code varchar, billed_amount decimal(38, 6),
    ledger_amount decimal(38, 6), difference_amount decimal(38, 6), difference_ratio decimal(38, 6), status varchar,
    cause varchar
);
create table staging.stg_reference__accounts (
    account_id varchar, account_name varchar, segment varchar, parent_account_id varchar, billing_timezone varchar,
    currency_code varchar
);
create table staging.stg_reference__metrics (
    metric varchar, description varchar, aggregation varchar, unit varchar, distinct_on varchar,
    allow_negative boolean, default_sku varchar, owner varchar
);
create table staging.stg_reference__skus (
    sku varchar, metric varchar, sku_name varchar, service_name varchar, service_category varchar, billable boolean
);
create table staging.stg_reference__finance_ledger (
    entry_id varchar, billing_period varchar, account_id varchar, sku varchar, currency_code varchar,
    amount decimal(38, 12), posted_at timestamp
);
create table staging.stg_reference__gate_waivers (
    gate varchar, billing_period varchar, scope varchar, reason varchar, approved_by varchar, expires_at timestamp
);
"""

# what the numbers of an account and an item stand for
JOIN_DESCRIBED = """
    inner join intermediate.int_kinds_decided as items on coded.item_id = items.kind_id
    inner join intermediate.int_holders_decided as accounts on coded.account_number = accounts.holder_id
"""
DESCRIBED = """
    accounts.resolved_account_id as account_id, items.metric, items.billed_sku as sku, items.region,
    items.billed_unit as unit
"""

VIEWS = f"""
create view intermediate.int_usage_postings as
    select
        batch_id, usage_hour, billing_date, {DESCRIBED}, quantity, event_count, quantity_variance,
        coded.account_number, coded.item_id
    from intermediate.int_usage_posted as coded {JOIN_DESCRIBED};
create view usage.usage_hourly as
    select usage_hour, billing_date, {DESCRIBED}, quantity, event_count, quantity_variance
    from intermediate.int_usage_by_hour as coded {JOIN_DESCRIBED};
create view usage.usage_daily as
    select billing_date, {DESCRIBED}, quantity, event_count, quantity_variance, peak_per_minute
    from intermediate.int_usage_by_date as coded {JOIN_DESCRIBED};
create view intermediate.int_usage_series as
    select coded.account_number, coded.item_id, {DESCRIBED}
    from (
        select account_number, item_id from intermediate.int_usage_by_hour
        union
        select account_number, item_id from intermediate.int_usage_by_date
    ) as coded {JOIN_DESCRIBED};
"""

REFERENCES = """
insert into billing.currencies values ('USD', 2), ('JPY', 0);
insert into staging.stg_reference__accounts values
    ('acme', 'Acme', 'large', null, 'Asia/Kolkata', 'USD'),
    ('blue', 'Blue', 'small', null, 'America/New_York', 'USD'),
    ('kiku', 'Kiku', 'small', null, 'Pacific/Auckland', 'JPY');
insert into staging.stg_reference__metrics values
    ('api_calls', null, 'count', 'call', null, false, 'api', 'api-team'),
    ('tickets', null, 'count', 'ticket', null, false, 'help', 'support-team'),
    ('storage', null, 'sum', 'GB', null, true, 'storage', 'storage-team'),
    ('logs', null, 'sum', 'GB', null, null, 'logs', 'platform-team');
insert into staging.stg_reference__skus values
    ('api', 'api_calls', 'API', 'API', 'Web', true),
    ('storage', 'storage', 'Storage', 'Storage', 'Storage', true),
    ('logs', 'logs', 'Logs', 'Logs', 'Web', false);
insert into operations.batches values
    (1, '2026-10-01 02:00', 3, 120, 10, '2026-08-01', '2026-09-30'), (2, '2026-10-03 02:00', 1, 40, 0, null, null);
insert into intermediate.int_batches_tested values (2, 1);
insert into operations.event_conservation values (1, 120, 10, 5, 3, 2, 100, 0), (2, 40, 0, 10, 0, 0, 30, 0);
insert into billing.billing_periods values
    ('2026-08', 'final', 1, '2026-09-10', 'aa'), ('2026-09', 'provisional', null, null, null),
    ('2026-10', 'open', null, null, null);
"""

# Kolkata's 1 September begins at 18:30 UTC of 31 August and Auckland's ends with daylight saving time (+13:00): the
# first and the last hour of this month straddle or touch another UTC month.
USAGE = """
insert into intermediate.int_holders_decided values (1, 'acme'), (2, 'blue'), (3, 'kiku');
insert into intermediate.int_kinds_decided values
    (101, 'api_calls', 'api', 'eu', 'call', 'count'),
    (102, 'storage', 'storage', 'us', 'GB', 'sum'),
    (103, 'storage', 'storage', 'ap', 'GB', 'sum'),
    (104, 'logs', 'logs', 'global', 'GB', 'sum'),
    (105, 'tickets', 'help', 'eu', 'ticket', 'count'),
    (106, 'tickets', 'help', 'us', 'ticket', 'count'),
    (107, 'api_calls', 'api', 'us', 'call', 'count');  -- of which no usage is known
insert into intermediate.int_usage_posted values
    (1, '2026-08-31 18:00', '2026-09-01', 1, 101, 100, 100, 0),
    (2, '2026-08-31 18:00', '2026-09-01', 1, 101, 20, 20, 0),
    (1, '2026-09-20 10:00', '2026-09-20', 1, 101, 80, 80, 0),
    (1, '2026-10-01 03:00', '2026-09-30', 2, 102, 10.123456789, 2, 0),
    (1, '2026-09-05 00:00', '2026-09-05', 3, 103, 7, 1, 0),
    (2, '2026-09-05 00:00', '2026-09-05', 3, 103, -2, 1, 0),
    (1, '2026-09-30 10:00', '2026-09-30', 3, 104, 3, 1, 0),
    (1, '2026-09-10 10:00', '2026-09-10', 1, 105, 1, 1, 0),
    (1, '2026-09-11 10:00', '2026-09-11', 1, 106, 1, 1, 0),
    (1, '2026-08-15 10:00', '2026-08-15', 1, 101, 5, 5, 0),
    (2, '2026-10-02 10:00', '2026-10-02', 1, 101, 9, 9, 0);
insert into intermediate.int_usage_by_hour
    select
        usage_hour, billing_date, account_number, item_id, sum(quantity), sum(event_count), sum(quantity_variance)
    from intermediate.int_usage_posted group by all;
insert into intermediate.int_usage_by_date
    select billing_date, account_number, item_id, sum(quantity), sum(event_count), sum(quantity_variance), 1
    from intermediate.int_usage_by_hour group by all;
insert into usage.usage_monthly
    select
        strftime(billing_date, '%Y-%m'), account_id, metric, sku, region, unit, sum(quantity), sum(event_count), 1, 1,
        'provisional'
    from usage.usage_daily group by all;
"""

# acme's price changes in mid-month: 120 calls at 0.1, then 80 in two tiers, 50 at 0.1 and 30 at 0.1665. Its flat fee
# stands for the tickets of every region. The ledger has blue off by one cent, below every limit.
BILLING = """
insert into billing.invoice_lines values
    ('L1', '2026-09', '2026-09', 'acme', 'usage', 'api', 'eu', 'p1', 'per_unit', 120, 'call', 'USD', 12, 12,
        'provisional', 1),
    ('L2', '2026-09', '2026-09', 'acme', 'usage', 'api', 'eu', 'p2', 'graduated', 80, 'call', 'USD', 9.995, 10,
        'provisional', 1),
    ('L3', '2026-09', '2026-09', 'acme', 'usage', 'help', '*', 'p3', 'flat', 2, 'ticket', 'USD', 99, 99,
        'provisional', 1),
    ('L4', '2026-09', '2026-09', 'blue', 'usage', 'storage', 'us', 'p4', 'per_unit', 10.123456789, 'GB', 'USD',
        10.123456789, 10.12, 'provisional', 1),
    ('L5', '2026-09', '2026-09', 'kiku', 'usage', 'storage', 'ap', 'p5', 'per_unit', 5, 'GB', 'JPY', 502.5, 503,
        'provisional', 1),
    ('L6', '2026-09', '2026-08', 'blue', 'adjustment', 'storage', 'us', 'p4', 'per_unit', 1, 'GB', 'USD', -0.005, -0.01,
        'provisional', 1),
    ('L0', '2026-08', '2026-08', 'acme', 'usage', 'api', 'eu', 'p1', 'per_unit', 5, 'call', 'USD', 0.5, 0.5,
        'final', 1);
insert into billing.invoice_line_tiers values
    ('L0', 1, 5, 0.1, 0, 0.5), ('L1', 1, 120, 0.1, 0, 12), ('L2', 1, 50, 0.1, 0, 5), ('L2', 2, 30, 0.1665, 0, 4.995),
    ('L3', 1, 0, 0, 99, 99), ('L4', 1, 10.123456789, 1, 0, 10.123456789), ('L5', 1, 5, 100.5, 0, 502.5),
    ('L6', 1, 1, -0.005, 0, -0.005);
insert into billing.invoices
    select billing_period, account_id, currency_code, sum(amount), any_value(status), count(*)
    from billing.invoice_lines group by all;
insert into staging.stg_reference__finance_ledger values
    ('e1', '2026-09', 'acme', 'api', 'USD', 22, '2026-10-02'),
    ('e2', '2026-09', 'acme', 'help', 'USD', 99, '2026-10-02'),
    ('e3', '2026-09', 'blue', 'storage', 'USD', 10.10, '2026-10-02'),
    ('e4', '2026-09', 'kiku', 'storage', 'JPY', 503, '2026-10-02');
insert into finance.ledger_reconciliation values
    ('2026-09', 'acme', 'api', 'USD', 22, 22, 0, 0, 'matched', null),
    ('2026-09', 'acme', 'help', 'USD', 99, 99, 0, 0, 'matched', null),
    ('2026-09', 'blue', 'storage', 'USD', 10.11, 10.10, 0.01, 0.00099, 'break', 'rounding'),
    ('2026-09', 'kiku', 'storage', 'JPY', 503, 503, 0, 0, 'matched', null);
"""


def make_warehouse(path: Path) -> None:
    """Write the sample to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(TABLES + VIEWS + REFERENCES + USAGE + BILLING)


def row_of(run, gate: str) -> dict:
    """The stored row of one gate in a run."""
    return next(row for row in run.results if row["gate"] == gate)

"""Builds the reference tables, as each landing brings them, from the tables of company.py."""

import datetime as dt
from decimal import Decimal

from raw_samples.generator import company
from raw_samples.generator.company import ACCOUNTS, ALL_SKUS, Sku
from raw_samples.generator.rating import Price, Tier

Table = tuple[tuple[str, ...], list[tuple]]  # column names, rows

COLUMNS = {
    "metrics": "metric description aggregation unit distinct_on allow_negative default_sku owner",
    "units": "unit base_unit factor",
    "skus": "sku metric sku_name service_name service_category billable",
    "accounts": "account_id account_name segment parent_account_id billing_timezone currency_code",
    "attribution_keys": "key_type key_value account_id team valid_from valid_to",
    "account_plans": "account_id plan_id valid_from valid_to",
    "prices": "price_id plan_id sku region currency_code model free_units package_size valid_from valid_to",
    "price_tiers": "price_id tier_number up_to unit_price flat_fee rate_percent",
    "fx_rates": "rate_date from_currency to_currency rate",
    "finance_ledger": "entry_id billing_period account_id sku currency_code amount posted_at",
    "gate_waivers": "gate billing_period scope reason approved_by expires_at",
}


def significant(value: Decimal, digits: int = 4) -> Decimal:
    """Rounded to that many significant digits, without trailing zeros: what a price list would show."""
    rounded = value.quantize(Decimal(1).scaleb(value.adjusted() - digits + 1))
    return Decimal(format(rounded.normalize(), "f"))


def price_of(
    sku: Sku, segment: str, currency: str, region: str, factor: Decimal, suffix: str, validity: tuple
) -> Price:
    """One price of the list: graduated for SKUs with tiers, else per unit; free units for pay-as-you-go only."""
    plan = f"{segment}-{currency.lower()}"
    list_price = sku.usd * company.PLAN_FACTOR[segment] * company.CURRENCY_FACTOR[currency] * factor
    edges = sku.tiers if segment != "payg" else ()
    tiers = []
    for number, edge in enumerate((*edges, None), start=1):
        fee_plan, fee_sku, fee_tier, fee = company.ENTRY_FEE
        flat_fee = fee if (plan, sku.sku, number) == (fee_plan, fee_sku, fee_tier) else Decimal(0)
        unit_price = significant(list_price * company.TIER_FACTOR[number - 1])
        tiers.append(Tier(Decimal(edge) if edge else None, unit_price, flat_fee))
    free = Decimal(sku.free) if segment == "payg" else Decimal(0)
    model = "graduated" if edges else "per_unit"
    return Price(f"{plan}:{sku.sku}{suffix}", plan, sku.sku, region, currency, model, free, *validity, tuple(tiers))


def versions(sku: Sku, batch_id: int) -> list[tuple[str, Decimal, tuple]]:
    """The versions of a SKU's price as (suffix of its id, factor, validity), as announced by that landing."""
    for changed, date, factor, announced in company.PRICE_CHANGES:
        if changed == sku.sku and batch_id >= announced:
            return [(":1", Decimal(1), (None, date)), (":2", factor, (date, None))]
    return [(":1", Decimal(1), (None, None))]


def prices(batch_id: int) -> list[Price]:
    """The price list as known after that landing, price changes included once they are announced."""
    region_sku, region, region_factor = company.REGION_PRICE
    listed = []
    for sku in ALL_SKUS if batch_id >= 2 else company.SKUS:
        plans = [(segment, currency) for segment in company.PLAN_FACTOR for currency in company.CURRENCY_FACTOR]
        for segment, currency in plans if sku.billable else ():
            for suffix, factor, validity in versions(sku, batch_id):
                listed.append(price_of(sku, segment, currency, "*", factor, suffix, validity))
            if sku.sku == region_sku:
                suffix = f":{region}:1"
                listed.append(price_of(sku, segment, currency, region, region_factor, suffix, (None, None)))
    return listed


def account_plans(batch_id: int) -> list[tuple]:
    """(account_id, plan_id, valid_from, valid_to); the change of plan is known from the second landing on."""
    account_id, date, new_plan = company.PLAN_CHANGE
    rows = []
    for account in ACCOUNTS:
        changes = account.account_id == account_id and batch_id >= 2
        rows.append((account.account_id, account.plan, "2026-01-01", date if changes else None))
        if changes:
            rows.append((account_id, new_plan, date, None))
    return rows


def attribution_keys(batch_id: int) -> list[tuple]:
    """Keys as known after that landing: a namespace appears with the second, a key moves in the third."""
    since = "2026-01-01T00:00:00Z"
    rows = []
    for account in ACCOUNTS:
        number = account.account_id[-4:]
        for key, team in ((f"key-{number}-a41c", "web"), (f"key-{number}-d90b", "batch")):
            rows.append(("api_key", key, account.account_id, team, since, None))
        if "k" in account.products:
            rows += [
                ("namespace", name, account.account_id, "cluster", since, None) for name in company.namespaces(account)
            ]
        if "c" in account.products:
            rows += [
                ("resource_id", vm, account.account_id, "compute", since, None) for vm, _ in company.instances(account)
            ]
    rows.append(("api_key", company.YOUNG_KEY, company.YOUNG_KEY_ACCOUNT, "web", company.YOUNG_KEY_FROM, None))
    if batch_id >= 2:
        rows.append(("namespace", company.LATE_NAMESPACE, company.LATE_NAMESPACE_ACCOUNT, "cluster", since, None))
    if batch_id >= 3:
        rows.append(("api_key", company.MOVED_KEY, company.MOVED_KEY_FROM, "web", since, company.MOVED_KEY_AT))
        rows.append(("api_key", company.MOVED_KEY, company.MOVED_KEY_TO, "web", company.MOVED_KEY_AT, None))
    else:
        rows.append(("api_key", company.MOVED_KEY, company.MOVED_KEY_FROM, "web", since, None))
    return rows


def fx_rates(_: int) -> list[tuple]:
    """A rate per day and currency against USD, wandering a little (integers only)."""
    rows = []
    for day in range(62):
        date = dt.date(2026, 9, 1) + dt.timedelta(days=day)
        rows.append((date, "USD", "EUR", Decimal(9180 + day * 37 % 61).scaleb(-4)))
        rows.append((date, "USD", "JPY", Decimal(14870 + day * 53 % 97).scaleb(-2)))
    return rows


def waivers(_: int) -> list[tuple]:
    """The reviewed exception that lets September close in spite of one account's gap."""
    reason = (
        "Cluster usage of the last five days of September came on October 2nd, after the ledger was posted; "
        "it is billed in full and finance has agreed to the difference"
    )
    gate, expiry = "reconciliation_account_gap", "2026-10-31T00:00:00Z"
    return [(gate, "2026-09", company.WAIVED_ACCOUNT, reason, "finance-controller", expiry)]


def metric_row(metric: company.Metric, default_sku: str) -> tuple:
    """A metric as a row of the registry."""
    negative = metric.metric in company.ALLOWS_NEGATIVE
    return (
        metric.metric,
        metric.description,
        metric.aggregation,
        metric.unit,
        None,
        negative,
        default_sku,
        metric.owner,
    )


def metrics(batch_id: int) -> list[tuple]:
    known = company.ALL_METRICS if batch_id >= 2 else company.METRICS
    return [metric_row(company.ALL_METRICS[name], company.ALL_METRICS[name].default_sku) for name in known]


def skus(batch_id: int) -> list[tuple]:
    known = ALL_SKUS if batch_id >= 2 else company.SKUS
    return [(s.sku, s.metric, s.name, s.service, s.category, s.billable) for s in known]


def accounts(_: int) -> list[tuple]:
    return [(a.account_id, a.name, a.segment, a.parent, a.time_zone, a.currency) for a in ACCOUNTS]


def price_rows(batch_id: int) -> list[tuple]:
    rows = []
    for p in prices(batch_id):
        identity = (p.price_id, p.plan_id, p.sku, p.region, p.currency, p.model)
        rows.append((*identity, p.free_units or None, None, p.valid_from, p.valid_to))
    return rows


def tier_rows(batch_id: int) -> list[tuple]:
    return [
        (price.price_id, number, tier.up_to, tier.unit_price, tier.flat_fee or None, None)
        for price in prices(batch_id)
        for number, tier in enumerate(price.tiers, start=1)
    ]


BUILDERS = {
    "metrics": metrics,
    "units": lambda _: list(company.UNITS),
    "skus": skus,
    "accounts": accounts,
    "attribution_keys": attribution_keys,
    "account_plans": account_plans,
    "prices": price_rows,
    "price_tiers": tier_rows,
    "fx_rates": fx_rates,
    "gate_waivers": waivers,
}
# Which tables each landing brings; the ledger is written by ledger.py.
BROUGHT = {
    1: "metrics units skus accounts attribution_keys account_plans prices price_tiers fx_rates",
    2: "metrics skus attribution_keys account_plans prices price_tiers gate_waivers",
    3: "attribution_keys",
}


def tables(batch_id: int) -> dict[str, Table]:
    """The reference tables of one landing, without the ledger."""
    names = BROUGHT.get(batch_id, "").split()
    return {name: (tuple(COLUMNS[name].split()), BUILDERS[name](batch_id)) for name in names}

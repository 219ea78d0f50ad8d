"""FOCUS 1.2 (FinOps Open Cost and Usage Specification): the period's invoice lines as a cost and usage dataset.

One row per invoice line. Choices where the specification leaves room:
* BilledCost and EffectiveCost are the rounded amount of the line; ListCost and ContractedCost the precise one, as
  prices are list prices. Unit prices stand only where one price applies to the whole quantity.
* BillingPeriod is the calendar month in UTC, the same for all; ChargePeriod is the account's own local month, as UTC.
* An adjustment of an earlier period has ChargeClass Correction, over the charge period that it corrects.
* The billing account is the one that gets the invoice; a child account that is charged on it is the sub account.
* InvoiceId appears once the period is final: until then nothing has been invoiced.
"""

from pathlib import Path

from orchestration.publishing.publication import Publication, write_csv
from orchestration.publishing.writing import literal

# the specification's closed list; a service of any other category is `Other`
SERVICE_CATEGORIES = (
    "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
    "Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media", "Migration",
    "Mobile", "Networking", "Security", "Storage", "Web", "Other",
)  # fmt: skip

# charge_type → ChargeCategory, ChargeFrequency
CHARGES = {
    "usage": ("Usage", "Usage-Based"),
    "subscription": ("Purchase", "Recurring"),
    "minimum": ("Adjustment", "One-Time"),
    "discount": ("Adjustment", "Recurring"),
    "credit": ("Credit", "One-Time"),
}
PROVIDER = "Usage Warehouse"

QUERY = """
with charges (charge_type, charge_category, charge_frequency) as (values {charges}),

-- a unit price stands for the whole line only where one tier prices all of it, without a fee
unit_prices as (
    select line_id, any_value(unit_price) as unit_price, sum(tier_quantity) as tier_quantity
    from {tiers}
    where tier_quantity <> 0 or flat_fee <> 0
    group by line_id
    having count(*) = 1 and coalesce(any_value(flat_fee), 0) = 0
),

lines as (
    select
        line.*,
        coalesce(account.billing_timezone, 'UTC') as timezone,
        account.account_name,
        coalesce(sku.service_name, line.sku, 'Other') as service_name,
        case when sku.service_category in ({categories}) then sku.service_category else 'Other' end as service_category,
        coalesce(sku.sku_name, line.sku) as sku_name,
        if(line.line_type = 'adjustment', 'Correction', null) as charge_class,
        invoiced.account_name as invoice_account_name,
        -- a flat price is bought per period, whatever is used
        if(charge.charge_category = 'Usage' and pricing_model = 'flat', 'Purchase', charge.charge_category)
            as charge_category,
        if(charge.charge_category = 'Usage' and pricing_model = 'flat', 'Recurring', charge.charge_frequency)
            as charge_frequency,
        case
            when pricing_model in ('per_unit', 'graduated', 'volume') and unit_prices.tier_quantity = line.quantity
                then unit_prices.unit_price
        end as unit_price,
        strptime(line.billing_period || '-01', '%Y-%m-%d') as period_start,
        strptime(coalesce(line.origin_period, line.billing_period) || '-01', '%Y-%m-%d') as charge_start
    from {lines} as line
    left join charges as charge using (charge_type)
    left join {accounts} as account on line.account_id = account.account_id
    left join {accounts} as invoiced on line.invoice_account_id = invoiced.account_id
    left join {skus} as sku using (sku)
    left join unit_prices using (line_id)
    where {condition}
),

-- local midnights as UTC: a month of an account may begin hours before or after the UTC month
dated as (
    select
        *,
        timezone('UTC', timezone(timezone, charge_start)) as charge_start_utc,
        timezone('UTC', timezone(timezone, charge_start + interval 1 month)) as charge_end_utc
    from lines
)

select
    amount as "BilledCost",
    invoice_account_id as "BillingAccountId",
    invoice_account_name as "BillingAccountName",
    'Account' as "BillingAccountType",
    currency_code as "BillingCurrency",
    strftime(period_start + interval 1 month, '%Y-%m-%dT%H:%M:%SZ') as "BillingPeriodEnd",
    strftime(period_start, '%Y-%m-%dT%H:%M:%SZ') as "BillingPeriodStart",
    coalesce(charge_category, 'Adjustment') as "ChargeCategory",
    charge_class as "ChargeClass",
    concat_ws(', ', sku_name, nullif(region, 'global'), line_type || ' of ' || coalesce(origin_period, billing_period),
        rtrim(rtrim(quantity::varchar, '0'), '.') || ' ' || unit) as "ChargeDescription",
    charge_frequency as "ChargeFrequency",
    strftime(charge_end_utc, '%Y-%m-%dT%H:%M:%SZ') as "ChargePeriodEnd",
    strftime(charge_start_utc, '%Y-%m-%dT%H:%M:%SZ') as "ChargePeriodStart",
    if(charge_category = 'Usage', quantity, null) as "ConsumedQuantity",
    if(charge_category = 'Usage', unit, null) as "ConsumedUnit",
    precise_amount as "ContractedCost",
    unit_price as "ContractedUnitPrice",
    amount as "EffectiveCost",
    if(status = 'final', concat_ws('/', billing_period, invoice_account_id, currency_code), null) as "InvoiceId",
    {provider} as "InvoiceIssuerName",
    precise_amount as "ListCost",
    unit_price as "ListUnitPrice",
    if(charge_category in ('Usage', 'Purchase'), 'Standard', null) as "PricingCategory",
    quantity as "PricingQuantity",
    unit as "PricingUnit",
    {provider} as "ProviderName",
    {provider} as "PublisherName",
    region as "RegionId",
    region as "RegionName",
    service_category as "ServiceCategory",
    service_name as "ServiceName",
    'Other (' || service_category || ')' as "ServiceSubcategory",
    sku as "SkuId",
    price_id as "SkuPriceId",
    if(account_id <> invoice_account_id, account_id, null) as "SubAccountId",
    if(account_id <> invoice_account_id, account_name, null) as "SubAccountName",
    line_id as "x_LineId",
    line_type as "x_LineType",
    billing_period as "x_BillingPeriod",
    origin_period as "x_OriginPeriod",
    status as "x_Status"
from dated
"""


def export_focus(publication: Publication, out: Path) -> list[Path]:
    """Write `focus_<period>.csv` into `out`: FOCUS 1.2 columns, and own ones that begin with `x_`."""
    query = QUERY.format(
        charges=", ".join(
            "(" + ", ".join(literal(part) for part in (charge_type, *charge)) + ")"
            for charge_type, charge in CHARGES.items()
        ),
        categories=", ".join(literal(category) for category in SERVICE_CATEGORIES),
        provider=literal(PROVIDER),
        tiers=publication.table("billing.invoice_line_tiers"),
        lines=publication.table("billing.invoice_lines"),
        accounts=publication.table("billing.accounts"),
        skus=publication.table("billing.skus"),
        condition=publication.condition("line", ("account_id", "invoice_account_id")),
    )
    return [write_csv(publication.connection, query, out / f"{publication.file_stem('focus')}.csv")]

"""The gates of billing: all usage is priced, every line rests on usage, and tiers, lines and invoices add up.

All limits are zero: this is the customers' money, and every amount is an exact decimal rounded once.
"""

from typing import TYPE_CHECKING

from expectations.gate import Gate, build_suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

KEY = "account_id, sku, region"

# DuckDB rounds a decimal, half away from zero, only to a constant number of digits: one branch per minor unit. Each
# branch is cast, because round() narrows the scale and a `case` takes the scale of its first branch: cents would be cut
# off.
ROUNDED_AMOUNT = (
    "case currencies.minor_unit "
    + " ".join(f"when {digits} then cast(round(precise_amount, {digits}) as decimal(38, 6))" for digits in range(7))
    + " end"
)

NO_UNPRICED = Gate(
    name="no_unpriced_usage",
    proves="all billable usage of the period, and late usage of earlier ones, found a price",
    limit="0 rows of billing.unpriced_usage",
    why="usage is never billed at zero by accident (rule 15)",
    reads=("unpriced_until_now",),
    # Late usage of a closed period is billed in this one, by adjustment: without a price it would be lost in between.
    breaks="""
select
    account_id, billing_period, sku, metric, region, plan_id, first_date, last_date, quantity, unit, event_count
from unpriced_until_now
""",
    order_by="account_id, billing_period, sku, metric, region, plan_id, first_date",
)

USAGE_HAS_LINE = Gate(
    name="every_billable_usage_has_a_line",
    proves="every account, SKU and region with billable usage has an invoice line, or stands in billing.unpriced_usage",
    limit="0 keys without a line",
    why="usage without a line is revenue lost",
    reads=("usage_monthly", "skus", "invoice_lines", "unpriced_usage"),
    # A SKU that the skus table does not know is billable until somebody says that it is not. A flat line stands for the
    # usage of every region that its price is good for.
    breaks=f"""
with billable as (
    select {KEY}, sum(quantity) as quantity, sum(event_count) as event_count
    from usage_monthly left join skus using (sku)
    where coalesce(skus.billable, true) and quantity <> 0
    group by {KEY}
), lines as (
    select {KEY}, pricing_model from invoice_lines where line_type = 'usage'
), lines_of_any_region as (
    select account_id, sku from lines where pricing_model = 'flat' and region = '*'
)
-- one join each: a join over `or` compares every line of a SKU
select billable.*
from billable
    anti join lines using ({KEY})
    anti join lines_of_any_region using (account_id, sku)
    anti join unpriced_usage using ({KEY})
""",
    order_by=KEY,
)

LINE_HAS_USAGE = Gate(
    name="every_line_has_usage",
    proves="every usage line with a quantity rests on usage of its account, SKU and region in the period",
    limit="0 lines without usage",
    why="a line without usage bills for nothing",
    reads=("invoice_lines", "usage_monthly"),
    # A flat fee and a fee at zero usage are owed for holding the plan (rule 13), without any usage.
    breaks=f"""
with lines as (
    select line_id, {KEY}, price_id, pricing_model, quantity, amount, currency_code
    from invoice_lines
    where line_type = 'usage' and pricing_model is distinct from 'flat' and quantity is distinct from 0
), used as (
    select distinct {KEY} from usage_monthly
)
select * from lines anti join used using ({KEY})
""",
    order_by="line_id",
)

QUANTITIES_MATCH = Gate(
    name="line_quantities_match_usage",
    proves="the quantities of a key's usage lines, with what is unpriced, sum exactly to its usage",
    limit="0 keys that differ",
    why="slices of a price change must neither overlap nor leave a gap (rule 14)",
    reads=("invoice_lines", "usage_monthly", "unpriced_usage"),
    # Flat prices bill no quantity, and not by region. Figures that do not add up over days hold as well: a maximum stands
    # on one day's line, and a level is shared out among its days so that they sum to the month.
    breaks=f"""
with flat as (
    select account_id, sku from invoice_lines where line_type = 'usage' and pricing_model = 'flat'
), lines as (
    select {KEY}, sum(quantity) as line_quantity
    from invoice_lines anti join flat using (account_id, sku)
    where line_type = 'usage'
    group by {KEY}
), used as (
    select {KEY}, sum(quantity) as used_quantity
    from usage_monthly
    group by {KEY}
), unpriced as (
    select {KEY}, sum(quantity) as unpriced_quantity from unpriced_usage group by {KEY}
)
select {KEY}, used_quantity, line_quantity, coalesce(unpriced_quantity, 0) as unpriced_quantity
from used inner join lines using ({KEY}) left join unpriced using ({KEY})
where line_quantity + coalesce(unpriced_quantity, 0) is distinct from used_quantity
""",
    order_by=KEY,
)

TIERS_SUM = Gate(
    name="tiers_sum_to_lines",
    proves="the tier amounts of every line sum exactly to its precise amount",
    limit="0 lines that differ",
    why="a customer who disputes a line is shown its tiers",
    reads=("invoice_lines", "invoice_line_tiers"),
    breaks="""
with tiers as (
    select line_id, sum(tier_amount) as tiers_amount, count(*) as tier_count
    from invoice_line_tiers semi join invoice_lines using (line_id)
    group by line_id
)
select
    account_id, line_id, sku, region, price_id, currency_code, precise_amount,
    coalesce(tiers_amount, 0) as tiers_amount, coalesce(tier_count, 0) as tier_count
from invoice_lines left join tiers using (line_id)
where precise_amount is distinct from coalesce(tiers_amount, 0)
""",
    order_by="account_id, line_id",
)

LINES_SUM = Gate(
    name="lines_sum_to_invoices",
    proves="per invoiced account and currency, the rounded lines sum exactly to the invoice, which counts them all",
    limit="0 invoices that differ",
    why="totals are sums of rounded lines (rule 12)",
    reads=("invoice_lines", "invoices"),
    breaks="""
with lines as (
    select
        invoice_account_id as account_id, currency_code, sum(amount) as lines_amount, count(*) as lines_counted
    from invoice_lines
    group by invoice_account_id, currency_code
)
select
    account_id, currency_code, invoices.amount as invoice_amount, lines_amount, invoices.line_count, lines_counted
from lines full outer join invoices using (account_id, currency_code)
where invoices.amount is distinct from lines_amount or invoices.line_count is distinct from lines_counted
""",
    order_by="account_id, currency_code",
)

ROUNDED = Gate(
    name="amounts_rounded_to_minor_unit",
    proves="every line's amount is its precise amount rounded once, half away from zero, at the currency's minor unit",
    limit="0 lines that differ",
    why="nobody can pay a fraction of a cent or of a yen (rule 12)",
    reads=("invoice_lines", "currencies"),
    breaks=f"""
select account_id, line_id, currency_code, minor_unit, precise_amount, amount, {ROUNDED_AMOUNT} as rounded_amount
from invoice_lines inner join currencies using (currency_code)
where amount is distinct from {ROUNDED_AMOUNT}
""",
    order_by="account_id, line_id",
)

LINE_IDS = Gate(
    name="line_ids_unique",
    proves="no line id of the period is used twice, in this period or in another",
    limit="0 ids with more than one line",
    why="tiers, disputes and credit notes refer to a line by its id alone",
    reads=("invoice_lines", "all_invoice_lines"),
    breaks="""
with ids as (
    select distinct line_id, account_id from invoice_lines
), counted as (
    select line_id, count(*) as line_count
    from all_invoice_lines semi join ids using (line_id)
    group by line_id
    having count(*) > 1
)
select account_id, line_id, line_count from ids inner join counted using (line_id)
""",
    order_by="line_id, account_id",
)

CURRENCIES = Gate(
    name="currencies_known",
    proves="every line's and invoice's currency stands in billing.currencies with a minor unit of 0 to 6 digits",
    limit="0 unknown currencies",
    why="without a minor unit an amount cannot be rounded or paid",
    reads=("invoice_lines", "invoices", "currencies"),
    breaks="""
with billed as (
    select account_id, currency_code from invoice_lines union select account_id, currency_code from invoices
)
select account_id, currency_code, minor_unit
from billed left join currencies using (currency_code)
where not coalesce(minor_unit between 0 and 6, false)
""",
    order_by="account_id, currency_code",
)

AMOUNTS_PRESENT = Gate(
    name="amounts_present",
    proves="every line has its id, account, type, currency, precise amount and amount",
    limit="0 lines with a null",
    why="a null falls out of every sum without a word",
    reads=("invoice_lines",),
    breaks="""
select account_id, line_id, line_type, currency_code, precise_amount, amount
from invoice_lines
where line_id is null or account_id is null or line_type is null or currency_code is null or precise_amount is null
    or amount is null
""",
    order_by="account_id, line_id",
)

GATES: tuple[Gate, ...] = (
    NO_UNPRICED,
    USAGE_HAS_LINE,
    LINE_HAS_USAGE,
    QUANTITIES_MATCH,
    TIERS_SUM,
    LINES_SUM,
    ROUNDED,
    LINE_IDS,
    CURRENCIES,
    AMOUNTS_PRESENT,
)


def suite() -> "ExpectationSuite":
    """The suite `billing`; it runs on a batch that is a Scope."""
    return build_suite("billing", GATES)

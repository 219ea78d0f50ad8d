"""The gates of reconciliation (rule 22): what is billed ties out with finance's ledger, and what does not is explained.

    tolerance              limit                              why that much
    TOTAL_GAP_PERMILLE     < 0.5 % of the currency's ledger   rule 22: what timing and rounding leave in a sound month
    ACCOUNT_GAP_PERMILLE   <= 2 % of the account's ledger     rule 22: a customer notices more
    ACCOUNT_GAP_UNITS      or <= 1 currency unit              rule 22: pennies of a small account are no finding
    UNEXPLAINED_PERMILLE   <= 1 % of the currency's ledger    rule 22: more means that nobody knows why

The observed values of these are measured in every run, passed or not, and stored in its `observed`.

A gap is Σ|difference| / Σ|ledger|, never |Σ difference|: an account billed too much and another billed too little by
the same sum are two faults, not none. The ledger is the yardstick because it does not come from this warehouse; usage
that is billed too high would make a share of the billed amount look smaller. Currencies are never added up. Where the
ledger has nothing, any gap is over every share of it.
"""

from typing import TYPE_CHECKING

from expectations.gate import Gate, build_suite

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

TOTAL_GAP_PERMILLE = 5
ACCOUNT_GAP_PERMILLE = 20
ACCOUNT_GAP_UNITS = 1
UNEXPLAINED_PERMILLE = 10

CAUSES = (
    "late_usage",
    "duplicate",
    "unattributed",
    "price",
    "fx",
    "rounding",
    "missing_in_ledger",
    "missing_in_usage",
    "timing",
    "unexplained",
)
CAUSES_SQL = ", ".join(f"'{cause}'" for cause in CAUSES)
NO_CAUSE_KNOWN = "(cause is null or cause = 'unexplained')"


def _gaps(grain: str, counted: str = "true") -> str:
    """CTE: per grain, the gap of the counted breaks and the whole ledger beside it; both are sums of absolutes."""
    return f"""
gaps as (
    select
        {grain},
        coalesce(sum(abs(difference_amount)) filter (where {counted}), 0) as gap_amount,
        coalesce(sum(abs(ledger_amount)), 0) as ledger_amount
    from reconciliation
    group by {grain}
)"""


# For people only: a share as text. The decision itself multiplies exact decimals and never divides.
PERCENT = (
    "case when ledger_amount <> 0 then printf('%.4f', 100 * gap_amount / ledger_amount) || ' %'"
    " when gap_amount = 0 then '0.0000 %' else 'all (no ledger)' end"
)
OBSERVED = f"""
select coalesce(string_agg(currency_code || ' ' || {PERCENT}, ', ' order by currency_code), 'nothing to reconcile')
    as observed
from gaps"""

LEDGER_PRESENT = Gate(
    name="ledger_present",
    proves="the ledger has entries of the period in every currency that is billed",
    limit="0 billed currencies without a ledger entry",
    why="without a ledger nothing was reconciled, whatever the other gates say",
    reads=("invoice_lines", "finance_ledger"),
    breaks="""
with billed as (
    select currency_code, sum(abs(amount)) as billed_amount
    from invoice_lines
    group by currency_code
    having sum(abs(amount)) > 0
)
select * from billed anti join finance_ledger using (currency_code)
""",
    order_by="currency_code",
)


def _covers(name: str, side: str, source: str) -> Gate:
    return Gate(
        name=name,
        proves=f"per account and currency, the reconciliation's {side} amounts sum exactly to {source}",
        limit="0 accounts that differ",
        why="what the reconciliation leaves out has no gap in it",
        reads=("reconciliation", source),
        # Cast per SKU, as amounts are reconciled: a ledger may hold more digits than an amount has.
        breaks=f"""
with by_sku as (
    select account_id, sku, currency_code, cast(sum(amount) as decimal(38, 6)) as source_amount
    from {source}
    group by account_id, sku, currency_code
), stated as (
    select account_id, currency_code, sum(source_amount) as source_amount from by_sku group by account_id, currency_code
), reconciled as (
    select account_id, currency_code, sum({side}_amount) as reconciled_amount
    from reconciliation
    group by account_id, currency_code
)
select
    account_id, currency_code, coalesce(source_amount, 0) as source_amount,
    coalesce(reconciled_amount, 0) as reconciled_amount
from stated full outer join reconciled using (account_id, currency_code)
where coalesce(source_amount, 0) <> coalesce(reconciled_amount, 0)
""",
        order_by="account_id, currency_code",
    )


TOTAL_GAP = Gate(
    name="reconciliation_total_gap",
    proves="per currency, all breaks together are under 0.5 % of the ledger",
    limit="< 0.5 % of the ledger, per currency",
    why="rule 22; breaks that cancel out are still breaks",
    reads=("reconciliation",),
    breaks=f"""
with {_gaps("currency_code")}, largest as (
    select
        currency_code, count(*) as break_count,
        arg_max(account_id, (abs(difference_amount), account_id)) as largest_break_account,
        arg_max(difference_amount, (abs(difference_amount), account_id)) as largest_break_amount
    from reconciliation
    where difference_amount <> 0
    group by currency_code
)
select
    currency_code, gap_amount, ledger_amount, {PERCENT} as gap, break_count, largest_break_account, largest_break_amount
from gaps left join largest using (currency_code)
where gap_amount > 0 and gap_amount * 1000 >= ledger_amount * {TOTAL_GAP_PERMILLE}
""",
    order_by="currency_code",
    observed=f"with {_gaps('currency_code')}{OBSERVED}",
)

ACCOUNT_GAP = Gate(
    name="reconciliation_account_gap",
    proves="no account's breaks are over 2 % of its ledger and over one currency unit",
    limit="<= 2 % of the account's ledger, or <= 1 currency unit",
    why="rule 22; a total may look well while one customer is billed wrongly",
    reads=("reconciliation",),
    breaks=f"""
with {_gaps("account_id, currency_code")}
select account_id, currency_code, gap_amount, ledger_amount, {PERCENT} as gap
from gaps
where gap_amount > {ACCOUNT_GAP_UNITS} and gap_amount * 1000 > ledger_amount * {ACCOUNT_GAP_PERMILLE}
""",
    order_by="account_id, currency_code",
    # The worst account among those whose gap is over the unit; smaller ones cannot break the gate.
    observed=f"""
with {_gaps("account_id, currency_code")}, worst as (
    select *
    from gaps
    where gap_amount > {ACCOUNT_GAP_UNITS}
    qualify row_number() over (
        partition by currency_code
        order by case when ledger_amount = 0 then 1 else 0 end desc, gap_amount / nullif(ledger_amount, 0) desc,
            gap_amount desc, account_id
    ) = 1
)
select coalesce(
        string_agg(currency_code || ' ' || account_id || ' ' || {PERCENT}, ', ' order by currency_code),
        'no account over one currency unit'
    ) as observed
from worst""",
)

UNEXPLAINED = Gate(
    name="reconciliation_unexplained",
    proves="per currency, the breaks without a known cause are together not over 1 % of the ledger",
    limit="<= 1 % of the ledger, per currency",
    why="rule 22; summed, so that a large unknown cannot hide as many small ones",
    reads=("reconciliation",),
    breaks=f"""
with {_gaps("currency_code", NO_CAUSE_KNOWN)}, over as (
    select currency_code from gaps where gap_amount * 1000 > ledger_amount * {UNEXPLAINED_PERMILLE}
)
select account_id, sku, currency_code, billed_amount, ledger_amount, difference_amount, cause
from reconciliation semi join over using (currency_code)
where difference_amount <> 0 and {NO_CAUSE_KNOWN}
""",
    order_by="abs(difference_amount) desc, account_id, sku, currency_code",
    observed=f"with {_gaps('currency_code', NO_CAUSE_KNOWN)}{OBSERVED}",
)

HAVE_CAUSES = Gate(
    name="breaks_have_causes",
    proves="every break has one of the causes of rule 22",
    limit="0 breaks without a cause",
    why="a break that nobody classified was not looked at",
    reads=("reconciliation",),
    breaks=f"""
select account_id, sku, currency_code, billed_amount, ledger_amount, difference_amount, cause
from reconciliation
where difference_amount <> 0 and not coalesce(cause in ({CAUSES_SQL}), false)
""",
    order_by="account_id, sku, currency_code",
)

SUM_TO_GAP = Gate(
    name="breaks_sum_to_gap",
    proves="every difference is billed minus ledger, so that the breaks sum exactly to the gap",
    limit="0 rows that differ",
    why="the gap gates are measured on the differences",
    reads=("reconciliation",),
    breaks="""
select account_id, sku, currency_code, billed_amount, ledger_amount, difference_amount
from reconciliation
where difference_amount is distinct from coalesce(billed_amount, 0) - coalesce(ledger_amount, 0)
""",
    order_by="account_id, sku, currency_code",
)

GATES: tuple[Gate, ...] = (
    LEDGER_PRESENT,
    _covers("reconciliation_covers_billing", "billed", "invoice_lines"),
    _covers("reconciliation_covers_ledger", "ledger", "finance_ledger"),
    TOTAL_GAP,
    ACCOUNT_GAP,
    UNEXPLAINED,
    HAVE_CAUSES,
    SUM_TO_GAP,
)


def suite() -> "ExpectationSuite":
    """The suite `reconciliation`; it runs on a batch that is a Scope."""
    return build_suite("reconciliation", GATES)

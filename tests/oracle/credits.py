"""Credits: what each pays of which invoice, in which order, and what is left of it after each period."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from tests.oracle.currencies import minor_unit
from tests.oracle.hierarchy import Hierarchy
from tests.oracle.lines import WHOLE_ACCOUNT, Line, charged
from tests.oracle.periods import ends_at, starts_at
from tests.oracle.references import Books

ZERO = Decimal(0)
ENDLESS = datetime.max.replace(tzinfo=UTC)
ALWAYS = datetime.min.replace(tzinfo=UTC)


class BalanceKey(NamedTuple):
    credit_id: str
    billing_period: str


@dataclass(frozen=True)
class Balance:
    """A credit in one period: closing = opening − burned − expired."""

    account_id: str
    currency_code: str
    opening_amount: Decimal
    burned_amount: Decimal
    expired_amount: Decimal

    @property
    def closing_amount(self) -> Decimal:
        return self.opening_amount - self.burned_amount - self.expired_amount


def burn_credits(
    books: Books, periods: list[str], lines: list[Line], final: set[str]
) -> tuple[list[Line], dict[BalanceKey, Balance]]:
    """The credit lines of the periods that are not final, and the balances of all; `lines`: every line but these.

    The credit lines of final periods stand among `lines`: what they burned is used up.
    """
    tree, order = Hierarchy(books), burning_order(books)
    remaining = {row["credit_id"]: row["amount"] for row in order}
    burned_lines, balances, started = [], {}, set()
    for period in periods:
        mine = [line for line in lines if line.billing_period == period]
        fresh = [] if period in final else _burn(books, tree, order, period, mine, remaining)
        burned = defaultdict(Decimal)
        for line in (*fresh, *(line for line in mine if line.line_type == "credit")):
            burned[line.reference_id] -= line.amount
        for row in order:
            credit_id = row["credit_id"]
            if credit_id in started or burned[credit_id] or may_pay(books, row, period):
                started.add(credit_id)
                balance = _balance(books, row, period, remaining[credit_id], burned[credit_id])
                balances[BalanceKey(credit_id, period)] = balance
                remaining[credit_id] = balance.closing_amount
        burned_lines += fresh
    return burned_lines, balances


def burning_order(books: Books) -> list[dict]:
    """The credits of existing accounts: by priority, then expiry, then grant, then id."""
    return sorted(
        (row for row in books.credits if row["account_id"] in books.accounts),
        key=lambda row: (
            row["priority"] or 0,
            row["expires_at"] or ENDLESS,
            row["granted_at"] or ALWAYS,
            row["credit_id"],
        ),
    )


def may_pay(books: Books, row: dict, period: str) -> bool:
    """Granted before the period ends, and not expired when it begins, on the calendar of the credit's account."""
    zone = books.zones[row["account_id"]]
    is_granted = (row["granted_at"] or ALWAYS) < ends_at(period, zone)
    return is_granted and (row["expires_at"] or ENDLESS) > starts_at(period, zone)


def _burn(books: Books, tree: Hierarchy, order: list[dict], period: str, lines: list[Line], remaining) -> list[Line]:
    """One period's burning: each credit pays what its accounts still owe, never more than the whole invoice does."""
    due = defaultdict(Decimal)  # (account, currency) → what it and its descendants still owe
    for line in lines:
        for account_id in tree.upwards(line.account_id):
            due[account_id, line.currency_code] += line.amount
    burned = []
    for row in order:
        if not may_pay(books, row, period):
            continue
        account_id, currency = row["account_id"], row["currency_code"]
        usable = remaining[row["credit_id"]].quantize(Decimal(1).scaleb(-minor_unit(currency)), ROUND_DOWN)
        pays = min(usable, due[account_id, currency], due[tree.invoice_account(account_id), currency])
        if pays <= 0:
            continue
        burned.append(_line(row, period, pays))
        _settle(due, tree, account_id, currency, pays)
    return burned


def _settle(due: dict, tree: Hierarchy, account_id: str, currency: str, pays: Decimal) -> None:
    """What is paid is no longer due of the account and of those above. What is below keeps its own due."""
    for above in tree.upwards(account_id):
        due[above, currency] -= pays


def _line(row: dict, period: str, pays: Decimal) -> Line:
    return charged(
        -pays,
        row["currency_code"],
        billing_period=period,
        account_id=row["account_id"],
        line_type="credit",
        reference_id=row["credit_id"],
        sku=WHOLE_ACCOUNT,
        region=WHOLE_ACCOUNT,
    )


def _balance(books: Books, row: dict, period: str, opening: Decimal, burned: Decimal) -> Balance:
    """The rest expires in the last period in which the credit may pay."""
    expires = (row["expires_at"] or ENDLESS) <= ends_at(period, books.zones[row["account_id"]])
    expired = opening - burned if expires else ZERO
    return Balance(row["account_id"], row["currency_code"], opening, burned, expired)

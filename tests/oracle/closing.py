"""Closed periods and what follows: frozen lines, late usage, and the ledger beside the bill."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from tests.oracle.counting import MonthKey, State, Usage
from tests.oracle.lines import Line
from tests.oracle.periods import next_period

ZERO = Decimal(0)


class LedgerKey(NamedTuple):
    billing_period: str
    account_id: str
    sku: str
    currency_code: str


@dataclass(frozen=True)
class LedgerRow:
    """Billed against the ledger; difference = billed − ledger; a side that is missing is zero."""

    billed_amount: Decimal
    ledger_amount: Decimal

    @property
    def difference_amount(self) -> Decimal:
        return self.billed_amount - self.ledger_amount


@dataclass(frozen=True)
class Close:
    """The close of `billing_period` after the landing with this number (the first landing is 1)."""

    billing_period: str
    after_landing: int


class ClosedBooks:
    """The final periods so far: for each its cutoff batch, and every line ever billed in them."""

    def __init__(self):
        self.cutoffs: dict[str, int] = {}
        self.lines: list[Line] = []

    def freeze(self, period: str, cutoff: int, lines: list[Line]) -> None:
        """From now on the period is final and these are its lines."""
        self.cutoffs[period] = cutoff
        self.lines += lines

    def earliest_open_period(self, state: State) -> str | None:
        """Where adjustments go: the first period after the last final one that has usage, else the month after it."""
        if not self.cutoffs:
            return None
        last = max(self.cutoffs)
        return min((period for period in state.periods() if period > last), default=next_period(last))


def late_usage(final: State, now: State, period: str) -> dict[MonthKey, Usage]:
    """Usage of a final period that became known after its cutoff: what is known now minus what was frozen."""
    late = {}
    for known, sign in ((now, 1), (final, -1)):
        for key, usage in known.monthly.items():
            if key.billing_period == period:
                late.setdefault(key, Usage(usage.unit)).add(
                    sign * usage.quantity, sign * usage.quantity_variance, sign * usage.event_count
                )
    return {key: usage for key, usage in late.items() if usage.quantity or usage.event_count}


def reconcile(lines: list[Line], ledger: list[dict], period: str) -> dict[LedgerKey, LedgerRow]:
    """Billed against ledger of one period, per account, SKU and currency, whichever side has it. All lines count."""
    billed, booked = defaultdict(Decimal), defaultdict(Decimal)
    for line in lines:
        if line.billing_period == period:
            billed[LedgerKey(period, line.account_id, line.sku, line.currency_code)] += line.amount
    for entry in ledger:
        if entry["billing_period"] == period:
            booked[LedgerKey(period, entry["account_id"], entry["sku"], entry["currency_code"])] += entry["amount"]
    return {key: LedgerRow(billed.get(key, ZERO), booked.get(key, ZERO)) for key in sorted(billed.keys() | booked)}

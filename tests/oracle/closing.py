"""Closed periods and what follows: frozen lines, late usage and its adjustments, and the ledger beside it."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from tests.oracle.counting import History, MonthKey, State, Usage
from tests.oracle.invoicing import Line, next_period, rate_period

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

    def close(self, history: History, close: Close) -> None:
        """Freezes the period as known now: its usage lines and, in the earliest open period, the adjustments."""
        state = history.state(history.batch_after_landing[close.after_landing - 1])
        lines = list(rate_period(state, close.billing_period).lines.values())
        lines += [line for line in self.adjustments(state) if line.billing_period == close.billing_period]
        self.cutoffs[close.billing_period] = state.batch_id
        self.lines += lines

    def earliest_open_period(self, state: State) -> str | None:
        """Where adjustments go: the first period after the last final one that has usage, else the month after it."""
        if not self.cutoffs:
            return None
        last = max(self.cutoffs)
        return min((period for period in state.periods() if period > last), default=next_period(last))

    def adjustments(self, state: State) -> list[Line]:
        """Rule 20: rate(all known usage of the origin period) − everything already billed for it."""
        target = self.earliest_open_period(state)
        return [line for origin in self.cutoffs for line in self._adjust(state, origin, target)]

    def _adjust(self, state: State, origin: str, target: str) -> list[Line]:
        sums = defaultdict(lambda: [ZERO, ZERO, ZERO, None])
        known = rate_period(state, origin).lines.values()
        billed = [line for line in self.lines if line.origin_period == origin]
        for lines, sign in ((known, 1), (billed, -1)):
            for line in lines:
                total = sums[line.account_id, line.sku, line.region, line.currency_code]
                for at, figure in enumerate((line.quantity, line.precise_amount, line.amount)):
                    total[at] += sign * figure
                total[3] = line.unit or total[3]
        return [
            Line(
                target,
                origin,
                account_id,
                "adjustment",
                sku,
                region,
                None,
                None,
                quantity,
                unit,
                currency,
                precise,
                amount,
            )
            for (account_id, sku, region, currency), (quantity, precise, amount, unit) in sums.items()
            if quantity or precise or amount
        ]


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
    """Billed against ledger of one period, per account, SKU and currency, whichever side has it."""
    billed, booked = defaultdict(Decimal), defaultdict(Decimal)
    for line in lines:
        if line.billing_period == period:
            billed[LedgerKey(period, line.account_id, line.sku, line.currency_code)] += line.amount
    for entry in ledger:
        if entry["billing_period"] == period:
            booked[LedgerKey(period, entry["account_id"], entry["sku"], entry["currency_code"])] += entry["amount"]
    return {key: LedgerRow(billed.get(key, ZERO), booked.get(key, ZERO)) for key in sorted(billed.keys() | booked)}

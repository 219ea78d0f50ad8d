"""Puts the oracle's parts together: landings and closes in, every figure of the contract's marts out."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tests.oracle.allocation import AllocationKey, allocate_lines
from tests.oracle.billing import close_period, make_bill
from tests.oracle.closing import Close, ClosedBooks, LedgerKey, LedgerRow, late_usage, reconcile
from tests.oracle.counting import (
    BatchCounts,
    DayKey,
    History,
    HourKey,
    Landing,
    MonthKey,
    State,
    UnattributedKey,
    Usage,
    period_of,
)
from tests.oracle.credits import Balance, BalanceKey
from tests.oracle.exact import exact_arithmetic
from tests.oracle.invoicing import UnpricedKey
from tests.oracle.lines import Line, LineKey
from tests.oracle.references import Books


@dataclass
class Result:
    """All figures after the last landing. Usage of a final period is as of its cutoff, everything else as known now."""

    history: History
    final_cutoffs: dict[str, int]
    batches: dict[int, BatchCounts] = field(default_factory=dict)
    usage_hourly: dict[HourKey, Usage] = field(default_factory=dict)
    usage_daily: dict[DayKey, Usage] = field(default_factory=dict)
    usage_monthly: dict[MonthKey, Usage] = field(default_factory=dict)
    late_usage: dict[MonthKey, Usage] = field(default_factory=dict)
    unattributed: dict[UnattributedKey, Usage] = field(default_factory=dict)
    lines: dict[LineKey, Line] = field(default_factory=dict)
    subscriptions: list[Line] = field(default_factory=list)
    discounts: list[Line] = field(default_factory=list)
    minimums: list[Line] = field(default_factory=list)
    credits: list[Line] = field(default_factory=list)
    adjustments: list[Line] = field(default_factory=list)
    credit_balances: dict[BalanceKey, Balance] = field(default_factory=dict)
    allocations: dict[AllocationKey, Decimal] = field(default_factory=dict)
    unpriced: dict[UnpricedKey, Usage] = field(default_factory=dict)
    ledger: dict[LedgerKey, LedgerRow] = field(default_factory=dict)

    @property
    def all_lines(self) -> list[Line]:
        """The lines of every type."""
        others = (self.subscriptions, self.discounts, self.minimums, self.credits, self.adjustments)
        return [*self.lines.values(), *(line for lines in others for line in lines)]

    @property
    def invoices(self) -> dict[tuple[str, str, str], Decimal]:
        """(billing period, invoice account, currency) → the sum of its rounded lines."""
        totals = defaultdict(Decimal)
        with exact_arithmetic():
            for line in self.all_lines:
                totals[line.billing_period, line.invoice_account_id, line.currency_code] += line.amount
        return dict(totals)

    def books_of(self, period: str) -> Books:
        """The reference tables that stand for the period: those of its cutoff when it is final, else the latest."""
        return self.history.books(self.final_cutoffs.get(period, self.history.last_batch))

    def as_of(self, batch_id: int) -> State:
        """What was known after an earlier batch."""
        return self.history.state(batch_id)


def compute(landings: Iterable[Landing], closes: Iterable[Close] = (), as_of: datetime | None = None) -> Result:
    """Every figure after the last of these landings, the closes taking place where they say.

    Closes are taken in the order given, an hour after their landing; whether a gate would have allowed them is not
    asked. A period that has not ended at `as_of` is still running; without it none is.
    """
    history = History(list(landings))
    with exact_arithmetic():
        closed = ClosedBooks()
        for close in closes:
            close_period(history, closed, close)
        now = history.state(history.last_batch)
        result = Result(history, dict(closed.cutoffs), batches=now.batches, unattributed=now.unattributed)
        _fill_usage(result, now)
        _fill_billing(result, now, closed, as_of)
        return result


def _fill_usage(result: Result, now: State) -> None:
    """Each period's usage from the state that stands for it: its cutoff when it is final, else the latest."""
    periods = set(now.periods()) | set(result.final_cutoffs)
    states = {period: result.history.state(result.final_cutoffs.get(period, now.batch_id)) for period in periods}
    for state in set(states.values()):
        mine = {period for period, standing in states.items() if standing is state}
        for whole, part in ((state.hourly, result.usage_hourly), (state.daily, result.usage_daily)):
            part.update({key: usage for key, usage in whole.items() if period_of(key.billing_date) in mine})
        result.usage_monthly.update({key: usage for key, usage in state.monthly.items() if key.billing_period in mine})
    for period, cutoff in result.final_cutoffs.items():
        result.late_usage.update(late_usage(result.history.state(cutoff), now, period))


def _fill_billing(result: Result, now: State, closed: ClosedBooks, as_of: datetime | None) -> None:
    bill = make_bill(now, closed, as_of or result.history.landed_at[-1], as_of)
    by_type = defaultdict(list)
    for line in bill.lines:
        by_type[line.line_type].append(line)
    result.lines = {line.key: line for line in by_type["usage"]}
    for line_type in ("subscription", "discount", "minimum", "credit", "adjustment"):
        setattr(result, f"{line_type}s", by_type[line_type])
    result.unpriced, result.credit_balances = bill.unpriced, bill.balances
    periods = {line.billing_period for line in bill.lines} | {entry["billing_period"] for entry in now.books.ledger}
    for period in sorted(periods | set(closed.cutoffs)):
        lines = [line for line in bill.lines if line.billing_period == period]
        result.ledger.update(reconcile(lines, result.books_of(period).ledger, period))
        result.allocations.update(allocate_lines(result.books_of(period), lines))

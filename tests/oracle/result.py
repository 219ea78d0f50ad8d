"""Puts the oracle's parts together: landings and closes in, every figure of the contract's marts out."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

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
from tests.oracle.exact import exact_arithmetic
from tests.oracle.invoicing import Line, LineKey, UnpricedKey, rate_period


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
    adjustments: list[Line] = field(default_factory=list)
    unpriced: dict[UnpricedKey, Usage] = field(default_factory=dict)
    ledger: dict[LedgerKey, LedgerRow] = field(default_factory=dict)

    @property
    def all_lines(self) -> list[Line]:
        """Usage lines and adjustments."""
        return [*self.lines.values(), *self.adjustments]

    @property
    def invoices(self) -> dict[tuple[str, str, str], Decimal]:
        """(billing period, account, currency) → the sum of its rounded lines."""
        totals = defaultdict(Decimal)
        with exact_arithmetic():
            for line in self.all_lines:
                totals[line.billing_period, line.account_id, line.currency_code] += line.amount
        return dict(totals)

    def as_of(self, batch_id: int) -> State:
        """What was known after an earlier batch."""
        return self.history.state(batch_id)


def compute(landings: Iterable[Landing], closes: Iterable[Close] = ()) -> Result:
    """Every figure after the last of these landings, the closes taking place where they say.

    Closes are taken in the order given; whether a gate would have allowed them is not asked.
    """
    history = History(list(landings))
    with exact_arithmetic():
        closed = ClosedBooks()
        for close in closes:
            closed.close(history, close)
        now = history.state(history.last_batch)
        result = Result(history, dict(closed.cutoffs), batches=now.batches, unattributed=now.unattributed)
        _fill_usage(result, now)
        _fill_billing(result, now, closed)
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


def _fill_billing(result: Result, now: State, closed: ClosedBooks) -> None:
    lines = list(closed.lines)
    for period in now.periods():
        rated = rate_period(now, period)
        result.unpriced.update(rated.unpriced)
        if period not in closed.cutoffs:
            lines += rated.lines.values()
    lines += closed.adjustments(now)
    result.lines = {line.key: line for line in lines if line.line_type == "usage"}
    result.adjustments = [line for line in lines if line.line_type == "adjustment"]
    periods = {line.billing_period for line in lines} | {entry["billing_period"] for entry in now.books.ledger}
    for period in sorted(periods | set(closed.cutoffs)):
        standing = result.history.books(closed.cutoffs.get(period, now.batch_id))
        result.ledger.update(reconcile(lines, standing.ledger, period))

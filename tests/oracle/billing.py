"""The whole bill as known at some moment: every line of every period, in the order in which one rests on the other."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.oracle.adjusting import adjustments
from tests.oracle.closing import Close, ClosedBooks
from tests.oracle.counting import History, State, Usage
from tests.oracle.credits import Balance, BalanceKey, burn_credits
from tests.oracle.discounts import discount_lines
from tests.oracle.fx import in_reporting_currency
from tests.oracle.hierarchy import Hierarchy
from tests.oracle.invoicing import Rated, UnpricedKey, rate_period
from tests.oracle.lines import Line
from tests.oracle.minimums import minimum_lines
from tests.oracle.periods import billed_periods, is_over
from tests.oracle.references import Books
from tests.oracle.subscriptions import subscription_lines

CLOSE_AFTER_LANDING = timedelta(hours=1)


@dataclass
class Bill:
    """All lines, those of final periods as they were frozen; the credits' balances; and usage without a price."""

    lines: list[Line]
    balances: dict[BalanceKey, Balance]
    unpriced: dict[UnpricedKey, Usage] = field(default_factory=dict)


def make_bill(state: State, closed: ClosedBooks, today: datetime, as_of: datetime | None) -> Bill:
    """The bill on all that the state knows. `as_of`: the moment that decides which periods are still running."""
    billed, unpriced, fresh = billed_periods(state, today), {}, []
    for period in billed:
        rated = rate_period(state, period)
        unpriced |= rated.unpriced
        if period not in closed.cutoffs:
            fresh += charges_of(state.books, period, rated, as_of)
    fresh += adjustments(state, closed)
    periods = sorted({*billed, *closed.cutoffs, *(line.billing_period for line in fresh)})
    credit_lines, balances = burn_credits(state.books, periods, [*closed.lines, *fresh], set(closed.cutoffs))
    return Bill([*closed.lines, *completed(state.books, [*fresh, *credit_lines])], balances, unpriced)


def charges_of(books: Books, period: str, rated: Rated, as_of: datetime | None) -> list[Line]:
    """An open period's own charges: usage, subscriptions, their discounts, and, when it is over, minimums."""
    charges = [*rated.lines.values(), *subscription_lines(books, period)]
    charges += discount_lines(books, charges)
    return charges + (minimum_lines(books, period, charges) if is_over(books, period, as_of) else [])


def completed(books: Books, lines: list[Line]) -> list[Line]:
    """The lines with the account whose invoice they stand on, and in the reporting currency."""
    tree = Hierarchy(books)
    return [
        in_reporting_currency(books, replace(line, invoice_account_id=tree.invoice_account(line.account_id)))
        for line in lines
    ]


def close_period(history: History, closed: ClosedBooks, close: Close) -> None:
    """Freezes the period's lines as the bill has them an hour after the landing that the close follows."""
    landing = close.after_landing - 1
    state, closed_at = (
        history.state(history.batch_after_landing[landing]),
        history.landed_at[landing] + CLOSE_AFTER_LANDING,
    )
    lines = make_bill(state, closed, closed_at, closed_at).lines
    closed.freeze(
        close.billing_period, state.batch_id, [line for line in lines if line.billing_period == close.billing_period]
    )

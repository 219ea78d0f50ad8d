"""Billing periods: which of them are billed, and which are still running."""

from datetime import UTC, datetime

from tests.oracle.counting import State
from tests.oracle.references import Books
from tests.oracle.windows import ends_at, months, period_of


def is_over(books: Books, period: str, as_of: datetime | None) -> bool:
    """Whether the period has ended for the last account, and in UTC. Without `as_of` nothing is running."""
    return as_of is None or as_of >= max(ends_at(period, zone) for zone in (UTC, *books.zones.values()))


def billed_periods(state: State, today: datetime) -> list[str]:
    """The months in which charges that need no usage are due.

    From the first month with attributed usage to the last. Where there is none at all: from the first month in which
    a subscription, commitment or plan begins to the month of `today` (UTC).
    """
    used = state.periods()
    if used:
        return months(used[0], used[-1])
    books = state.books
    rows = [*books.subscriptions, *books.commitments, *(row for rows in books.plans.values() for row in rows)]
    begins = [row["valid_from"] for row in rows if row["valid_from"] is not None]
    return months(period_of(min(begins)), period_of(today.astimezone(UTC).date())) if begins else []

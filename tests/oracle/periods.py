"""Billing periods: their days, their ends, which of them are billed, and which are still running."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, tzinfo

from tests.oracle.counting import State, period_of
from tests.oracle.references import Books


def days_of_period(period: str) -> list[date]:
    """Every date of the month YYYY-MM."""
    year, month = map(int, period.split("-"))
    first = date(year, month, 1)
    return [first + timedelta(days=number) for number in range(monthrange(year, month)[1])]


def next_period(period: str) -> str:
    """The month after YYYY-MM."""
    year, month = map(int, period.split("-"))
    return f"{year + month // 12:04d}-{month % 12 + 1:02d}"


def starts_at(period: str, zone: tzinfo) -> datetime:
    """The instant at which the period begins on the calendar of this time zone."""
    first = days_of_period(period)[0]
    return datetime(first.year, first.month, first.day, tzinfo=zone).astimezone(UTC)


def ends_at(period: str, zone: tzinfo) -> datetime:
    """The instant at which the next period begins on that calendar."""
    return starts_at(next_period(period), zone)


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


def months(first: str, last: str) -> list[str]:
    """Every month from the first to the last, both included."""
    found = []
    while first <= last:
        found.append(first)
        first = next_period(first)
    return found

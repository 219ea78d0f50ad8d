"""Windows of time: billing periods, days on an account's own calendar, and the hours of which a midnight may cut one."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

HOUR = timedelta(hours=1)


class Window(NamedTuple):
    """A half-open span of time, both ends in UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def period_of(day: date) -> str:
    """The billing period (YYYY-MM) of a local date."""
    return f"{day.year:04d}-{day.month:02d}"


def days_of_period(period: str) -> list[date]:
    """Every date of the month YYYY-MM."""
    year, month = map(int, period.split("-"))
    first = date(year, month, 1)
    return [first + timedelta(days=number) for number in range(monthrange(year, month)[1])]


def next_period(period: str) -> str:
    """The month after YYYY-MM."""
    year, month = map(int, period.split("-"))
    return f"{year + month // 12:04d}-{month % 12 + 1:02d}"


def months(first: str, last: str) -> list[str]:
    """Every month from the first to the last, both included."""
    found = []
    while first <= last:
        found.append(first)
        first = next_period(first)
    return found


@lru_cache(maxsize=100_000)
def midnight(day: date, zone: tzinfo) -> datetime:
    """The instant at which the date begins on the calendar of this time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def starts_at(period: str, zone: tzinfo) -> datetime:
    """The instant at which the period begins on the calendar of this time zone."""
    return midnight(days_of_period(period)[0], zone)


def ends_at(period: str, zone: tzinfo) -> datetime:
    """The instant at which the next period begins on that calendar."""
    return starts_at(next_period(period), zone)


@lru_cache(maxsize=100_000)
def period_window(period: str, zone: tzinfo) -> Window:
    """The whole billing period."""
    return Window(starts_at(period, zone), ends_at(period, zone))


def day_window(day: date, zone: tzinfo) -> Window:
    """The whole day, of 23, 24 or 25 hours."""
    return Window(midnight(day, zone), midnight(day + timedelta(days=1), zone))


def hour_window(hour: datetime, day: date, zone: tzinfo) -> Window:
    """The part of the hour (UTC) that lies in the day."""
    whole = day_window(day, zone)
    return Window(max(hour, whole.start), min(hour + HOUR, whole.end))


def hours_of(day: date, zone: tzinfo) -> list[datetime]:
    """Every hour (UTC) of which a part lies in the day."""
    whole = day_window(day, zone)
    found = [hour_of(whole.start)]
    while found[-1] + HOUR < whole.end:
        found.append(found[-1] + HOUR)
    return found


def hour_of(moment: datetime) -> datetime:
    """The beginning of the hour (UTC) that the moment lies in."""
    return moment.replace(minute=0, second=0, microsecond=0)

"""How the gates write and compute instants: UTC, to the second where they are stored."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

LATENESS = timedelta(hours=72)  # rule 18


def to_the_second(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(microsecond=0)


def as_text(instant: datetime) -> str:
    """`2026-10-05T00:00:00Z`, with the microseconds where there are some."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def as_stamp(instant: datetime) -> str:
    """`20261005T000000Z`: sorts by time in a file name."""
    return to_the_second(instant).strftime("%Y%m%dT%H%M%SZ")


def latest_month_end(next_date: date, timezones: Iterable[str]) -> datetime:
    """When the last account's month ends: the latest local midnight that begins `next_date`; UTC without accounts."""
    ends = (datetime(next_date.year, next_date.month, next_date.day, tzinfo=ZoneInfo(zone)) for zone in timezones)
    utc_end = datetime(next_date.year, next_date.month, next_date.day, tzinfo=UTC)
    return max((end.astimezone(UTC) for end in ends), default=utc_end)

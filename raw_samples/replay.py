"""Replays the samples as they arrived: land, nightly, close September, land, nightly, close October, and what came after both closes.

`make run` runs it on $USAGE_HOME. Every step carries the time at which it would have run, so a second replay finds all of it done and
changes nothing.
"""

import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from orchestration import landing, operations, summary
from orchestration.errors import UsageWarehouseError
from orchestration.locking import writing
from orchestration.settings import Settings, load_settings, parse_instant

SAMPLES = Path(__file__).parent


def land(arrival: str) -> tuple[str, Callable[[Settings, datetime], object], str]:
    """Land one arrival folder, at the time it arrived."""
    folder = SAMPLES / f"arrived={arrival}"
    return (
        f"land raw_samples/{folder.name}",
        lambda home, now: landing.land(home, [folder], now),
        f"{arrival}T02:00:00Z",
    )


def nightly(now: str) -> tuple[str, Callable[[Settings, datetime], object], str]:
    return "nightly", operations.nightly, now


def month_end(period: str, now: str) -> tuple[str, Callable[[Settings, datetime], object], str]:
    return f"month-end {period}", lambda home, at: operations.month_end(home, period, at), now


STEPS = (
    land("2026-10-01"),
    land("2026-10-03"),
    nightly("2026-10-04T02:00:00Z"),
    month_end("2026-09", "2026-10-05T12:00:00Z"),
    land("2026-10-20"),
    land("2026-11-01"),
    land("2026-11-03"),
    nightly("2026-11-04T02:00:00Z"),
    month_end("2026-10", "2026-11-05T12:00:00Z"),
    land("2026-11-10"),
    nightly("2026-11-11T02:00:00Z"),
)


def main() -> int:
    """Replay the steps, then print the state and the queries that finance can paste. Returns the exit code."""
    settings = load_settings()
    try:
        for name, step, now in STEPS:
            started = time.monotonic()
            with writing(settings, name):
                step(settings, parse_instant(now))
            summary.OUT.print(
                f"usage {name} --as-of {now}  [dim]{time.monotonic() - started:.0f} s[/dim]", soft_wrap=True
            )
        summary.show("status", settings, operations.status(settings))
    except UsageWarehouseError as error:
        summary.ERR.print(f"usage: {error}", markup=False)
        return error.exit_code
    summary.queries(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())

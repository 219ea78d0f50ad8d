"""A nightly run with one new day, with late events and duplicates of days before in it: what it costs, and that it is the same as a full rebuild."""

import shutil
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Contender, Failed, interleaved, module, run, usage
from tests.benchmarks.report import Row
from tests.benchmarks.sets import (
    LoadSet,
    copied,
    instant,
    landed,
    load_set,
    month_starts,
    period_of,
    settled,
    write_ledger,
)

# Events of a month are collected for some days; then it closes.
CLOSES_AFTER = 5


def measure(bench: Bench) -> list[Row]:
    """One new day on `days` days, against the reference on that day alone and what a nightly run costs anyway."""
    load = with_a_new_day(bench, bench.events, bench.days)
    history = grown(bench, load)
    day = the_day_alone(bench, load)
    name, alone, idle = (
        f"new day on {bench.days} days",
        "reference on that day alone",
        "nightly with nothing new, that day alone",
    )
    home = bench.work / "nightly"
    measured = interleaved(
        [
            nightly(name, history, home, load),
            Contender(alone, module("reference_job", day, bench.folder("day-reference"))),
            Contender(idle, usage(day, "nightly", "--as-of", instant(load.days))),
        ],
        bench.runs,
        bench.told,
    )
    equals_a_full_rebuild(bench, home, load)
    done, base = measured[name], measured[alone].seconds + measured[idle].seconds
    return [
        Row("nightly", name, done.seconds, done.peak_bytes, done.seconds / base, "reference + fixed overhead", 2.0, note="equals a full rebuild"),
        *(Row("nightly", other, measured[other].seconds, measured[other].peak_bytes) for other in (alone, idle)),
    ]  # fmt: skip


def measure_long(bench: Bench) -> list[Row]:
    """One new day on a long history, against the same day's worth on a short one. Months that are over are closed, as they would be."""
    per_day = min(bench.events, bench.long_events) // bench.days
    contenders = []
    for days in (bench.days, bench.days_long):
        load = with_a_new_day(bench, per_day * days, days)
        history = grown(bench, load)
        contenders.append(nightly(f"new day on {days} days", history, bench.work / f"nightly-{days}", load))
    measured = interleaved(contenders, bench.runs, bench.told)
    short, long = (measured[contender.name] for contender in contenders)
    return [
        Row("long", contenders[0].name, short.seconds, short.peak_bytes, note=f"{per_day:,} events a day"),
        Row("long", contenders[1].name, long.seconds, long.peak_bytes, long.seconds / short.seconds, contenders[0].name, 1.15),
    ]  # fmt: skip


def with_a_new_day(bench: Bench, events: int, days: int) -> LoadSet:
    """A load set of a day more; that day is the new one."""
    return load_set(bench.work, events * (days + 1) // days, days + 1)


def grown(bench: Bench, load: LoadSet) -> Path:
    """A home as it stands before the last day of a load set comes: all before has landed and is built, and what is over for some days is closed."""
    home, last = bench.work / f"history-{load.days}-{load.events}", load.days - 1
    ready = home.with_suffix(".ready")
    if ready.exists():
        return home
    shutil.rmtree(home, ignore_errors=True)
    bench.told(f"building {last} days of history")
    landed(home, [load.reference], instant(0))
    first = 0
    for month in month_starts(last - CLOSES_AFTER):
        closing = month + CLOSES_AFTER
        landed(home, load.collected(first, closing), instant(closing))
        run(usage(home, "build", "--as-of", instant(closing, 3)))
        # finance books a month when it is over: what is known of the running one by then is no ledger of it
        ledger = write_ledger(
            home / "warehouse.duckdb", "billing.invoice_lines", bench.folder("ledger"), instant(closing),
            f"from booked where billing_period <= '{period_of(month - 1)}'",
        )  # fmt: skip
        landed(home, [ledger], instant(closing, 4))
        run(usage(home, "month-end", period_of(month - 1), "--as-of", instant(closing, 12)))
        first = closing
    landed(home, load.collected(first, last), instant(last))
    run(usage(home, "nightly", "--as-of", instant(last, 3)))
    ready.touch()
    return home


def the_day_alone(bench: Bench, load: LoadSet) -> Path:
    """A home that knows the last day only, after its nightly run."""
    home = bench.folder("day-alone")
    landed(home, [load.reference, *load.collected(load.days - 1, load.days)], instant(load.days))
    run(usage(home, "nightly", "--as-of", instant(load.days)))
    return home


def nightly(name: str, history: Path, home: Path, load: LoadSet) -> Contender:
    """The run itself, each time on a copy of the history with the new day's dumps in its inbox."""

    def prepare() -> None:
        inbox = copied(history, home) / "inbox" / "events"
        inbox.mkdir(parents=True, exist_ok=True)
        for path in load.collected(load.days - 1, load.days):
            (inbox / path.name).hardlink_to(path)
        settled(home)

    return Contender(name, usage(home, "nightly", "--as-of", instant(load.days)), prepare)


def equals_a_full_rebuild(bench: Bench, home: Path, load: LoadSet) -> None:
    """Raises Failed unless the home that grew day by day has the figures of one that is built anew."""
    anew = copied(home, bench.work / "anew", built=False)
    run(usage(anew, "build", "--full-refresh", "--as-of", instant(load.days)))
    compared = run(usage(home, "compare", "--against", anew), may_fail=True)
    if compared.failed:
        raise Failed(f"after a nightly run the figures are not those of a full rebuild:\n{compared.output[-3000:]}")
    bench.told("the figures after the nightly run are those of a full rebuild")

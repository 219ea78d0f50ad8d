"""`python -m tests.benchmarks --events 2_000_000 --days 30`: measures the house, prints a table; exit code 1 where contenders disagree."""

import argparse
import datetime as dt
import shutil
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Failed, environment
from tests.benchmarks.parts import PARTS


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000_000, help="records of the load set (default 2_000_000)")
    parser.add_argument("--days", type=int, default=30, help="days over which they are spread (default 30)")
    parser.add_argument("--days-long", type=int, default=365, help="days of the long history (default 365)")
    parser.add_argument(
        "--long-events", type=int, default=Bench.long_events, help="events per DAYS of the long history, at most"
    )
    parser.add_argument(
        "--landing-events",
        type=int,
        default=Bench.landing_events,
        help="records of the file that lands, at most (1_000_000)",
    )
    parser.add_argument(
        "--query-events", type=int, default=Bench.query_events, help="events of the year that is queried, at most"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender, in turn (default 3)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, by comma: {','.join(PARTS)}")
    parser.add_argument(
        "--work", type=Path, help="folder for sets and homes, kept and used again (default: a temporary one)"
    )
    parser.add_argument("--json", type=Path, help="also write what came out to this file")
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    chosen = parser.parse_args(given)
    chosen.only = chosen.only.split(",")
    unknown = [part for part in chosen.only if part not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if not 1 <= chosen.landing_events <= 1_000_000:
        parser.error("--landing-events must lie between 1 and 1_000_000: one file of the generator")
    if min(chosen.events, chosen.days, chosen.runs) < 1:
        parser.error("--events, --days and --runs must be at least 1")
    return chosen


def told(line: str) -> None:
    print(f"{dt.datetime.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)


def main(given: list[str] | None = None) -> int:
    chosen = arguments(given)
    work = (chosen.work or Path(tempfile.mkdtemp(prefix="usage-bench-"))).absolute()
    work.mkdir(parents=True, exist_ok=True)
    scale = {
        name: getattr(chosen, name)
        for name in ("events", "days", "days_long", "runs", "long_events", "landing_events", "query_events")
    }
    bench = Bench(work=work, told=told, **scale)
    rows: list[report.Row] = []
    try:
        for part in PARTS:
            if part in chosen.only:
                told(f"— {part}")
                rows += PARTS[part](bench)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    finally:
        if not chosen.work:
            shutil.rmtree(work, ignore_errors=True)
        if chosen.json:
            chosen.json.write_text(report.as_json({**scale, **environment()}, rows), encoding="utf-8")
    print(report.as_markdown(rows)) if chosen.markdown else report.show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

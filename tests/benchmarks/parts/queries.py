"""The README's questions of finance, on the published file of a year of a thousand accounts."""

import json
import re
import shutil
import statistics
from pathlib import Path

import duckdb

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import module, run, usage
from tests.benchmarks.report import Row
from tests.benchmarks.sets import LoadSet, instant, landed, load_set, write_ledger

README = Path(__file__).parents[3] / "README.md"
SECTION = "## What finance asks"
DAYS, ACCOUNTS, TIMES = 365, 1000, 9
SECONDS = 0.1
# finance booked nothing for every fiftieth key, and ten too much for every seventieth: what there is to reconcile
BOOKED = """
    select * exclude (number) replace ((amount + if(number % 70 = 0, 10, 0))::decimal(38, 6) as amount)
    from (select *, row_number() over (order by billing_period, account_id, sku, currency_code) as number from booked)
    where number % 50 <> 0
"""


def finance_queries(readme: str) -> dict[str, str]:
    """Question → query: the SQL of the README's section, each headed by a comment that asks."""
    section = readme.split(SECTION, 1)[1].split("\n## ", 1)[0]
    found = {}
    for block in re.findall(r"```sql\n(.*?)```", section, re.DOTALL):
        for statement in duckdb.extract_statements(block):
            asked = re.search(r"--\s*(.+)", statement.query)
            found[asked[1].strip() if asked else statement.query.strip().rstrip(";")[:60]] = statement.query
    if not found:
        raise LookupError(f"the README has no SQL under {SECTION!r}")
    return found


def measure(bench: Bench) -> list[Row]:
    published = year(bench) / "published" / "finance.duckdb"
    queries = finance_queries(README.read_text(encoding="utf-8"))
    warm = json.loads(run(module("tasks", "warm_queries", published, TIMES, *queries.values())).output)["seconds"]
    rows = []
    for (question, query), seconds in zip(queries.items(), warm, strict=True):
        first = [json.loads(run(module("tasks", "cold_query", published, query)).output) for _ in range(bench.runs)]
        cold = statistics.median(done["seconds"] for done in first)
        note = f"{first[0]['rows']:,} rows; cold first {cold * 1000:.0f} ms"
        rows.append(Row("queries", question, statistics.median(seconds), at_most=SECONDS, note=note))
        bench.told(f"{question} {statistics.median(seconds) * 1000:.1f} ms; {note}")
    return rows


def year(bench: Bench) -> Path:
    """The home of a year of a thousand accounts, with a ledger that does not tie out everywhere, published."""
    load = load_set(bench.work, min(bench.events, bench.query_events), DAYS, ACCOUNTS)
    home = bench.work / f"year-{load.events}"
    if not (home / "published" / "finance.duckdb").exists():
        bench.told("building the year")
        shutil.rmtree(home, ignore_errors=True)
        built(bench, home, load)
    return home


def built(bench: Bench, home: Path, load: LoadSet) -> None:
    now = instant(load.last_collection)
    landed(home, [load.reference, load.folder / "events"], now)
    run(usage(home, "build", "--as-of", now))
    ledger = write_ledger(home / "warehouse.duckdb", "billing.invoice_lines", bench.folder("ledger"), now, BOOKED)
    landed(home, [ledger], now)
    run(usage(home, "build", "--as-of", now))
    run(module("tasks", "publish", home))

"""A month with all the events: gates, close and receipt, and verification, against the full rebuild."""

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Contender, interleaved, module, run, usage
from tests.benchmarks.report import Row
from tests.benchmarks.sets import copied, fresh, instant, landed, ledger_of_reference, month_starts, period_of, settled

REBUILD, CLOSE, VERIFY = "full rebuild", "gates, close, receipt", "verify"
DAYS_AFTER_MONTH = 5


def measure(bench: Bench) -> list[Row]:
    home = copied(bench.landed_home(), bench.work / "closable", built=False)
    day = max(bench.load.last_collection, month_starts(31)[0] + DAYS_AFTER_MONTH)
    # finance's ledger as the reference has it: what it booked did not come from this house
    output = bench.folder("ledger-reference")
    run(module("reference_job", home, output))
    landed(home, [ledger_of_reference(output, bench.folder("ledger"), instant(day))], instant(day, 3))
    run(usage(home, "build", "--as-of", instant(day, 4)))
    anew, closed = settled(copied(home, bench.work / "anew", built=False)), bench.work / "closed"
    measured = interleaved(
        [
            Contender(REBUILD, usage(anew, "build", "--full-refresh", "--as-of", instant(day, 4)), lambda: fresh(anew)),
            Contender(CLOSE, module("tasks", "close", closed, period_of(0), instant(day, 12)), lambda: settled(copied(home, closed))),
            Contender(VERIFY, usage(closed, "verify")),
        ],
        bench.runs,
        bench.told,
    )  # fmt: skip
    rebuild, both = measured[REBUILD].seconds, measured[CLOSE].seconds + measured[VERIFY].seconds
    peak = max(measured[name].peak_bytes for name in (CLOSE, VERIFY))
    return [
        Row("close", REBUILD, rebuild, measured[REBUILD].peak_bytes),
        *(
            Row("close", name, measured[name].seconds, measured[name].peak_bytes, measured[name].seconds / rebuild, REBUILD)
            for name in (CLOSE, VERIFY)
        ),
        Row("close", "close and verify together", both, peak, both / rebuild, REBUILD, 1.0),
    ]  # fmt: skip

"""The full job, from the same lake files: the house with and without its data tests, the reference, its peers, and the bare scan."""

from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Contender, Failed, interleaved, module, run, usage
from tests.benchmarks.report import Row
from tests.benchmarks.sets import copied, fresh, settled

TESTED, UNTESTED, REFERENCE = "full rebuild", "full rebuild, no data tests", "reference (one DuckDB script)"
POLARS, CLICKHOUSE, SCAN = "reference's job in Polars", "reference's job in ClickHouse", "bare scan (DuckDB)"


def measure(bench: Bench) -> list[Row]:
    load_home = bench.landed_home()
    tested, untested = (settled(copied(load_home, bench.work / name, built=False)) for name in ("tested", "untested"))
    outputs = {
        name: bench.folder(folder)
        for name, folder in {REFERENCE: "reference", POLARS: "polars", CLICKHOUSE: "clickhouse", SCAN: "scan"}.items()
    }
    jobs = {REFERENCE: "reference_job", POLARS: "polars_job", CLICKHOUSE: "clickhouse_job", SCAN: "scan_job"}
    contenders = [
        Contender(TESTED, usage(tested, "build", "--full-refresh", "--as-of", bench.now), lambda: fresh(tested)),
        Contender(UNTESTED, module("tasks", "build_untested", untested, bench.now), lambda: fresh(untested)),
        *(Contender(name, module(jobs[name], load_home, output)) for name, output in outputs.items()),
    ]
    measured = interleaved(contenders, bench.runs, bench.told)
    for name, place in {TESTED: tested, UNTESTED: untested, **{n: outputs[n] for n in (POLARS, CLICKHOUSE)}}.items():
        agree(name, place, outputs[REFERENCE])
    bench.told("all figures agree")
    reference = measured[REFERENCE].seconds
    return [
        Row(
            "rebuild", name, done.seconds, done.peak_bytes, done.seconds / reference, "reference",
            note=f"{bench.events / done.seconds:,.0f} events/s",
        )
        for name, done in measured.items()
    ]  # fmt: skip


def agree(name: str, place: Path, reference: Path) -> None:
    """Raises Failed with the first differing rows unless the figures are the reference's."""
    done = run(module("comparing", place, reference), may_fail=True)
    if done.failed:
        raise Failed(f"the figures of the {name} are not the reference's:\n{done.output}")

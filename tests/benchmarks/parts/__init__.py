"""The parts of the benchmark, each a function from the bench to its rows; the order is the order of the table."""

from collections.abc import Callable

from tests.benchmarks.bench import Bench
from tests.benchmarks.parts import closing, landing, nightly, overhead, queries, rebuild, storage
from tests.benchmarks.report import Row

PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "rebuild": rebuild.measure,
    "overhead": overhead.measure,
    "nightly": nightly.measure,
    "long": nightly.measure_long,
    "landing": landing.measure,
    "storage": storage.measure,
    "close": closing.measure,
    "queries": queries.measure,
}

"""What a run costs when nothing is new, on the full home, and where that goes."""

import json
import time

from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Contender, interleaved, module, run, usage
from tests.benchmarks.report import Row

SECONDS = 20.0


def measure(bench: Bench) -> list[Row]:
    home = bench.built_home()
    contenders = [
        Contender(f"usage {name}, nothing new", usage(home, name, "--as-of", bench.now))
        for name in ("build", "nightly")
    ]
    measured = interleaved(contenders, bench.runs, bench.told)
    parts = json.loads(run(module("tasks", "clocked", home, bench.now, time.time())).output)
    bench.told(f"of a nightly run: {parts}")
    return [
        *(Row("overhead", name, done.seconds, done.peak_bytes, at_most=SECONDS) for name, done in measured.items()),
        *(Row("overhead", f"of nightly: {phase}", seconds) for phase, seconds in parts.items()),
    ]

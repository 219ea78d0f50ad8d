"""Landing: records per second against the bare engine, and memory as a file grows."""

from pathlib import Path

from raw_samples.generator.load import write_load
from tests.benchmarks.bench import Bench
from tests.benchmarks.measuring import Contender, Measured, interleaved, module, run, usage
from tests.benchmarks.report import Row
from tests.benchmarks.sets import copied, instant, landed, load_set

FORMS = ("jsonl", "csv", "parquet")
TIMES = 8  # how much larger the large file is


def measure(bench: Bench) -> list[Row]:
    """Each format: landing a day's dumps into a home that knows the reference tables, and a bare read and write of the same files."""
    events = min(bench.events, bench.landing_events)
    empty = bench.folder("empty")
    landed(empty, [load_set(bench.work, events, 1, form="parquet").reference], instant(0))
    contenders = []
    for form in FORMS:
        files = one_file(bench.work, events, form)
        contenders += [
            landing(f"usage land, {form}", empty, bench.work / f"landing-{form}", files),
            Contender(
                f"bare DuckDB, {form}",
                module("tasks", "bare_landing", form, bench.work / f"bare-{form}.parquet", files),
            ),
        ]
    measured = interleaved(contenders, bench.runs, bench.told)
    return [
        *(row for form in FORMS for row in speed(form, measured, one_file(bench.work, events, form), events)),
        *(row for form in FORMS for row in memory(bench, empty, form, events, measured[f"usage land, {form}"])),
    ]


def one_file(work: Path, events: int, form: str) -> Path:
    """A day's events in one file of that format: at most as many as the generator puts into one."""
    folder = work / f"landing-{events}-{form}"
    if not (folder / "load.json").exists():
        write_load(folder, events, 1, form=form)
    return folder / "events" / "load-meter" / f"load-meter-{instant(0)[:10]}-000.{form}"


def landing(name: str, empty: Path, home: Path, file: Path) -> Contender:
    command = usage(home, "land", "--as-of", instant(10), file)
    return Contender(name, command, lambda: copied(empty, home))


def speed(form: str, measured: dict[str, Measured], file: Path, events: int) -> list[Row]:
    """Throughput against the bare engine's: its seconds over ours."""
    mine, bare = (measured[f"{name}, {form}"] for name in ("usage land", "bare DuckDB"))
    note = f"{events / mine.seconds / 1e6:.2f} million records/s; file of {file.stat().st_size / 1e6:.0f} MB"
    return [
        Row("landing", f"usage land, {form}", mine.seconds, mine.peak_bytes, bare.seconds / mine.seconds, "throughput of bare DuckDB", at_least=0.7, note=note),
        Row("landing", f"bare DuckDB, {form}", bare.seconds, bare.peak_bytes),
    ]  # fmt: skip


def memory(bench: Bench, empty: Path, form: str, events: int, large: Measured) -> list[Row]:
    """Peak memory of the file against one of an eighth of its size."""
    contender = landing("small", empty, bench.work / f"landing-{form}", one_file(bench.work, events // TIMES, form))
    contender.prepare()
    small = run(contender.command)
    what = f"peak memory, file {TIMES} times as large, {form}"
    note = f"small file: {small.peak_bytes / 1e9:.2f} GB"
    return [
        Row(
            "landing",
            what,
            None,
            large.peak_bytes,
            large.peak_bytes / small.peak_bytes,
            "peak of the small file",
            note=note,
        )
    ]

"""The harness itself: what it measures of a process, the order of runs, targets, and the queries that it takes from the README."""

import json
import sys
import time

import pytest

from tests.benchmarks import __main__ as front
from tests.benchmarks import report
from tests.benchmarks.measuring import Contender, Failed, interleaved, run
from tests.benchmarks.parts.queries import README, finance_queries
from tests.benchmarks.profile import operators, profiles
from tests.benchmarks.report import Row
from tests.benchmarks.sets import month_starts

HOLD = "x = b'1' * {size}; import time; time.sleep(0.4)"
SPAWN = "import subprocess, sys; held = subprocess.Popen([sys.executable, '-c', {child!r}]); {own}; held.wait()"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_wall_time_is_that_of_the_process() -> None:
    started = time.perf_counter()
    done = run(python("import time; time.sleep(0.5); print('said')"))
    assert 0.5 <= done.seconds <= time.perf_counter() - started
    assert done.output == "said\n"


def test_peak_memory_is_that_of_the_whole_tree_at_one_moment() -> None:
    size = 80_000_000
    alone = run(python(HOLD.format(size=size))).peak_bytes
    both = run(python(SPAWN.format(child=HOLD.format(size=size), own=HOLD.format(size=size)))).peak_bytes
    assert size < alone < 2 * size
    assert 2 * size < both < 3 * size


def test_a_peak_between_two_looks_is_seen() -> None:
    code = "x = b'1' * 100_000_000; del x; import time; time.sleep(0.3)"
    assert run(python(code)).peak_bytes > 100_000_000


def test_a_failing_command_says_why() -> None:
    with pytest.raises(Failed, match=r"exit code 3(.|\n)*for this reason"):
        run(python("import sys; print('for this reason', file=sys.stderr); sys.exit(3)"))
    assert run(python("raise SystemExit(1)"), may_fail=True).failed


def test_contenders_run_in_turn_each_prepared_and_told_by_their_median(tmp_path) -> None:
    log = tmp_path / "log"
    log.touch()

    def noting(name: str) -> Contender:
        return Contender(
            name,
            python(f"print('run {name}', file=open({str(log)!r}, 'a'))"),
            lambda: log.write_text(f"{log.read_text()}prepare {name}\n"),
        )

    measured = interleaved([noting("a"), noting("b")], 3, told=lambda line: None)
    assert log.read_text().splitlines() == ["prepare a", "run a", "prepare b", "run b"] * 3
    for done in measured.values():
        assert done.seconds == sorted(run.seconds for run in done.runs)[1]
        assert done.peak_bytes == max(run.peak_bytes for run in done.runs)


@pytest.mark.parametrize(
    ("row", "target", "met"),
    [
        (Row("p", "w", ratio=1.15, at_most=1.15), "≤ 1.15", True),
        (Row("p", "w", ratio=1.16, at_most=1.15), "≤ 1.15", False),
        (Row("p", "w", ratio=0.69, at_least=0.7), "≥ 0.7", False),
        (Row("p", "w", seconds=20.1, at_most=20), "≤ 20 s", False),
        (Row("p", "w", seconds=50, ratio=0.5, at_most=1), "≤ 1", True),
        (Row("p", "w", seconds=50), "", None),
    ],
)
def test_a_target_bounds_the_ratio_or_else_the_seconds(row: Row, target: str, met: bool | None) -> None:
    assert (row.target, row.met) == (target, met)


def test_what_came_out_is_told_alike_in_json_and_markdown() -> None:
    rows = [Row("p", "a|b", 2.0, 1_500_000_000, 0.25, "c", at_most=0.2), Row("p", "query", 0.0421, at_most=0.1)]
    told = json.loads(report.as_json({"events": 7}, rows))
    assert (told["events"], [row["met"] for row in told["rows"]]) == (7, [False, True])
    assert report.as_markdown(rows).splitlines()[2:] == [
        "| p | a/b | 2.0 s | 1.50 GB | 0.25 | c | ≤ 0.2 ✗ |  |",
        "| p | query | 42.1 ms |  |  |  | ≤ 0.1 s ✓ |  |",
    ]


def test_the_queries_are_those_that_the_readme_shows_to_finance() -> None:
    shown = README.read_text(encoding="utf-8")
    queries = finance_queries(shown)
    assert queries and all(query in shown for query in (body.strip().rstrip(";") for body in queries.values()))
    text = "## What finance asks\n```sql\n-- How many?\nselect 1;\nselect 2;\n```\n## Else\n```sql\nselect 3;\n```\n"
    assert list(finance_queries(text)) == ["How many?", "select 2"]
    with pytest.raises(LookupError):
        finance_queries("## What finance asks\nnothing\n")


def test_operators_of_a_profile_are_summed_by_type_and_longest_nodes_come_first(tmp_path) -> None:
    scan = {"operator_name": "SEQ_SCAN ", "operator_timing": 0.25, "children": []}
    statement = {
        "latency": 1.5,
        "system_peak_buffer_memory": 7,
        "children": [{"operator_name": "HASH_JOIN", "operator_timing": 0.5, "children": [scan, scan]}],
    }
    assert operators(statement) == {"HASH_JOIN": 0.5, "SEQ_SCAN": 0.5}
    (tmp_path / "0.json").write_text(json.dumps(statement))
    results = {
        "results": [
            {"unique_id": "model.p.short", "execution_time": 1},
            {"unique_id": "model.p.long", "execution_time": 2},
        ]
    }
    long, short = profiles(results, {"model.p.long": [tmp_path / "0.json", tmp_path / "none.json"]})
    assert (long.name, long.in_duckdb, long.peak_bytes, short.operators.total()) == ("long", 1.5, 7, 0)


def test_months_begin_where_the_calendar_says() -> None:
    # the set starts on 1 September 2026
    assert month_starts(29) == []
    assert month_starts(30) == [30]
    assert month_starts(365) == [30, 61, 91, 122, 153, 181, 212, 242, 273, 303, 334, 365]


@pytest.mark.parametrize("given", [["--only", "speed"], ["--events", "0"], ["--landing-events", "2_000_000"]])
def test_wrong_arguments_are_refused(given: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        front.arguments(given)
    assert refused.value.code == 2

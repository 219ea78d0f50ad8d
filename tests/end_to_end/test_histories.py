"""Random small histories through the whole house, against the independent oracle: incremental, rebuilt, shuffled, corrected.

One of each kind; `make soak` tries as many as time allows.
"""

from pathlib import Path

import pytest

from orchestration import warehouse
from orchestration.settings import Settings
from tests.end_to_end.histories import Options, make_history
from tests.end_to_end.house import last_build, run, state
from tests.oracle import compare, compute


def against_the_oracle(settings: Settings, landings: list) -> list[str]:
    with warehouse.read(settings) as connection:
        return compare(compute(landings, as_of=last_build(landings)), connection)


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (1, Options(events=400, landings=4)),
        (11, Options(events=300, landings=4, corrections=True, aggregations=True)),
    ],
    ids=["events", "corrections and every aggregation"],
)
def test_incremental_figures_equal_the_oracle_and_a_full_rebuild(
    home: Settings, tmp_path: Path, seed: int, options: Options
) -> None:
    landings = make_history(seed, options).write(tmp_path / "dumps")
    run(home, landings, build_each=True)
    assert against_the_oracle(home, landings) == []
    incremental = state(home)
    warehouse.build(home, last_build(landings), full_refresh=True)
    assert incremental == state(home)


def test_a_fee_without_usage_begins_on_the_first_day_of_a_plan_that_comes_back(home: Settings, tmp_path: Path) -> None:
    """Which discounts a fee has is decided by its first day; this history has one between the two times of a plan."""
    landings = make_history(5, Options(events=150, landings=2)).write(tmp_path / "dumps")
    run(home, landings, build_each=False)
    assert against_the_oracle(home, landings) == []


def test_the_order_of_dumps_does_not_change_figures(tmp_path: Path, home: Settings) -> None:
    history = make_history(4, Options(events=400, landings=3, conflicts=False, reference_changes=False))
    run(home, history.write(tmp_path / "in-order"))
    shuffled_home = Settings(tmp_path / "other-home", home.memory_limit, home.threads)
    run(shuffled_home, history.shuffled(5).write(tmp_path / "shuffled"), build_each=False)
    assert without_batches(state(home)) == without_batches(state(shuffled_home))


def without_batches(marts: dict[str, list[tuple]]) -> dict[str, list[tuple]]:
    """The figures that do not speak of batches: the usage rolled up, the lines and what they sum to."""
    figures = ("usage.usage_monthly", "billing.invoice_lines", "billing.invoice_line_tiers", "billing.invoices")
    return {mart: marts[mart] for mart in figures}

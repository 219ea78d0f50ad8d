"""Money and quantities never pass through binary floating point: the plans of all models, and the same check on expressions that do."""

import re
from pathlib import Path

import duckdb
import pytest

from orchestration import warehouse
from orchestration.settings import Settings
from tests.dbt.test_project import built  # noqa: F401  (the fixture)

# Estimates in floating point that only decide whether the exact arithmetic stays inside its 38 digits: the model, and why they are no figures.
ESTIMATES = {"int_events_attributed": "sizes an event before it is measured; what does not fit is held"}

# Aggregates and functions that give floating point whatever they are given; a plan does not always name their type.
FLOATING = re.compile(
    r"\b(avg|mean|median|sqrt|power|pow|exp|ln|log\w*|stddev\w*|var_\w+|quantile_cont)\(|DOUBLE|FLOAT"
)

# What an analyst could write without noticing; each turns into floating point.
SLIPS = (
    "sum(amount) / 3",
    "amount / 3",
    "amount // minor_amount",
    "avg(amount)",
    "avg(amount)::decimal(38, 6)",
    "amount * 1.5e0",
    "sqrt(amount)",
    "amount::double::decimal(38, 6)",
    "sum(case when amount > 0 then amount / 2 else 0 end)",
)


def plan_of(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    [(_, plan)] = connection.execute(f"explain (format json) {query}").fetchall()
    return plan


def uses_floats(plan: str) -> bool:
    return FLOATING.search(plan) is not None


def test_no_model_computes_in_floating_point(built: Settings) -> None:  # noqa: F811
    models = sorted((built.home / ".dbt" / "target" / "compiled").glob("*/models/**/*.sql"))
    assert {path.stem for path in models} >= {"invoice_lines", "int_line_tiers_rated", "int_credits_burned"}
    with warehouse.read(built) as connection:
        floating = {path.stem for path in models if uses_floats(plan_of(connection, Path(path).read_text()))}
    assert floating == set(ESTIMATES)


@pytest.mark.parametrize("expression", SLIPS)
def test_the_plan_shows_what_slips_into_floating_point(expression: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "create table t as select 1.25::decimal(38, 6) as amount, 0.01::decimal(38, 6) as minor_amount"
        )
        assert uses_floats(plan_of(connection, f"select {expression} from t"))
        assert not uses_floats(plan_of(connection, "select sum(round(amount, 2))::decimal(38, 6) from t"))

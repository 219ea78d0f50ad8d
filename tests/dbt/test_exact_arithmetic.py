"""Money and quantities never pass through binary floating point: the parsed SQL of all models, and the same check on expressions that do."""

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from orchestration import warehouse
from orchestration.settings import Settings
from tests.dbt.test_project import built  # noqa: F401  (the fixture)

# Estimates in floating point that only decide whether the exact arithmetic stays inside its 38 digits: the model, and why they are no figures.
ESTIMATES = dict.fromkeys(
    ("int_events_decided", "int_events_decided_again"),
    "sizes an event before it is measured; what does not fit is held",
)

# Aggregates, functions and operators that give floating point whatever they are given, and its types.
FLOATING_FUNCTIONS = re.compile(
    r"avg|mean|median|sqrt|power|pow|exp|ln|log\w*|stddev\w*|var_\w+|quantile_cont|/", re.IGNORECASE
)
FLOATING_TYPES = {"DOUBLE", "FLOAT"}

# What an analyst could write without noticing; each turns into floating point.
SLIPS = (
    "sum(amount) / 3",
    "amount / 3",
    "avg(amount)",
    "avg(amount)::decimal(38, 6)",
    "amount * 1.5e0",
    "sqrt(amount)",
    "amount::double::decimal(38, 6)",
    "sum(case when amount > 0 then amount / 2 else 0 end)",
)


def uses_floats(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Whether the query, as DuckDB parses it, names a floating type, literal, function or operator. (A plan hides what has an alias.)"""
    [(tree,)] = connection.execute("select json_serialize_sql($query)", {"query": query}).fetchall()
    parsed = json.loads(tree)
    assert not parsed["error"], parsed
    return any(_is_floating(node) for node in _nodes(parsed))


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All nodes of a parsed query; DuckDB itself reads the number of an interval (to_days and the like) as a DOUBLE."""
    if isinstance(tree, dict):
        if str(tree.get("function_name")).startswith("to_"):
            return
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(part)


def _is_floating(node: dict[str, Any]) -> bool:
    return node.get("id") in FLOATING_TYPES or FLOATING_FUNCTIONS.fullmatch(str(node.get("function_name"))) is not None


def test_no_model_computes_in_floating_point(built: Settings) -> None:  # noqa: F811
    models = sorted((built.home / ".dbt" / "target" / "compiled").glob("*/models/**/*.sql"))
    assert {path.stem for path in models} >= {"invoice_lines", "int_line_tiers_rated", "int_credits_burned"}
    with warehouse.read(built) as connection:
        floating = {path.stem for path in models if uses_floats(connection, path.read_text())}
    assert floating == set(ESTIMATES)


@pytest.mark.parametrize("expression", SLIPS)
def test_what_slips_into_floating_point_is_seen(expression: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "create table t as select 1.25::decimal(38, 6) as amount, 0.01::decimal(38, 6) as minor_amount"
        )
        assert uses_floats(connection, f"with x as (select {expression} as y from t) select y from x")
        assert not uses_floats(connection, "select sum(round(amount, 2))::decimal(38, 6) from t")

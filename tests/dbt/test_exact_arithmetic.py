"""Money and quantities never pass through binary floating point: the parsed SQL of all models, and the same check on expressions that do."""

import json
import random
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import duckdb
import jinja2
import pytest

from orchestration import warehouse
from orchestration.settings import DBT_PROJECT, Settings
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


# --- quantity × price ---------------------------------------------------------------------------------


def product(quantity: Decimal, price: Decimal, per: int) -> Decimal:
    with localcontext(prec=120):
        return (quantity * price / per).quantize(Decimal("1e-12"), ROUND_HALF_UP)


def factors(digits: int) -> Iterator[tuple[Decimal, Decimal, int]]:
    """Quantities and prices of every size, halves of the 12th digit, and what lies on either side of the 18 digits up to which DuckDB multiplies."""
    drawn, unit = random.Random(digits), Decimal(1).scaleb(-digits)
    for _ in range(4000):
        quantity = drawn.choice((-1, 1)) * Decimal(drawn.randrange(10 ** drawn.randint(1, digits + 12))) * unit
        price = drawn.choice((-1, 1)) * Decimal(drawn.randrange(10 ** drawn.randint(1, 21))).scaleb(-12)
        yield quantity, price, drawn.choice((1, 100))
        yield quantity.quantize(Decimal(1)) + Decimal("0.5"), Decimal("1e-12") * drawn.randint(1, 9), 1
    edge = Decimal(10) ** (18 - digits)
    for quantity in (edge, edge - unit, -edge, unit - edge):
        for price in (Decimal(10**6), Decimal(10**6) - Decimal("1e-12"), Decimal("1e-12"), Decimal("-0.5")):
            yield from ((quantity, price, per) for per in (1, 100))


@pytest.mark.parametrize("digits", [9, 12])
@pytest.mark.parametrize("per", ["per", "1", "100"])
def test_quantity_times_price_is_exact_whether_it_fits_into_18_digits_or_not(digits: int, per: str) -> None:
    source = (DBT_PROJECT / "macros" / "exact.sql").read_text(encoding="utf-8")
    macro = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(source).module.quantity_times_price
    given = [row for row in factors(digits) if per in ("per", str(row[2]))]
    values = ", ".join(
        f"({number}, {quantity:f}, {price:f}, {by})" for number, (quantity, price, by) in enumerate(given)
    )
    with duckdb.connect() as connection:
        connection.execute(
            f"create table t (number int, quantity decimal(38, {digits}), price decimal(38, 12), per int)"
        )
        # nothing times something, on either side of the limits, and a share of nobody knows what
        nothing = ["null, 1, 1", "1, null, 1", "null, 1000000, 1", "10000000000, null, 100", "null, null, 1"]
        nothing += ["1, 1, null"] if per == "per" else []
        nulls = ", ".join(f"({-number}, {row})" for number, row in enumerate(nothing, 1))
        connection.execute(f"insert into t values {values}, {nulls}")
        expression = macro("quantity", "price", per if per == "per" else int(per), digits)
        rows = connection.execute(f"select number, {expression} as r, typeof(r) from t").fetchall()
    found = {number: value for number, value, _ in rows}
    assert {kind for *_, kind in rows} == {"DECIMAL(38,12)"}
    assert [found.pop(-number) for number, _ in enumerate(nothing, 1)] == [None] * len(nothing)
    assert found == {number: product(*row) for number, row in enumerate(given)}

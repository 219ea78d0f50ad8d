"""Postings against hours, at random: a gate that pairs what is the same breaks exactly where sums by key differ, worked out here with Python's decimals."""

import random
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from expectations.gate import Scope
from expectations.usage import GATES

GATE = next(gate for gate in GATES if gate.name == "postings_sum_to_hourly")
TABLES = """
create schema intermediate; create schema staging;
create table intermediate.int_usage_posted (
    batch_id bigint, usage_hour timestamp, billing_date date, account_number bigint, item_id bigint, quantity decimal(38, 9), event_count bigint);
create table intermediate.int_usage_by_hour (
    usage_hour timestamp, billing_date date, account_number bigint, item_id bigint, quantity decimal(38, 9), event_count bigint);
create table staging.stg_reference__metrics as select * from (values ('calls', 'sum'), ('peak', 'max')) as metrics (metric, aggregation);
create table intermediate.int_kinds_decided as
    select * from (values (1, 'calls', 'calls', 'eu'), (2, 'peak', 'peak', 'eu')) as kinds (kind_id, metric, billed_sku, region);
create table intermediate.int_holders_decided as select 1::bigint as holder_id, 'acme' as resolved_account_id;
"""


def breaking(connection: duckdb.DuckDBPyConnection) -> set[tuple]:
    query = GATE.breaking_rows().replace("{batch}", f"({Scope('2026-09', 9).sql()})")
    rows = connection.execute(f"select usage_hour, account_number, item_id from ({query})").fetchall()
    assert len(rows) == len(set(rows))
    return set(rows)


def expected(postings: list[tuple], hours: list[tuple]) -> set[tuple]:
    quantities: defaultdict = defaultdict(Decimal)
    events: defaultdict = defaultdict(int)
    for sign, rows in ((1, postings), (-1, hours)):
        for hour, account, item, quantity, count in rows:
            quantities[hour, account, item] += sign * quantity
            events[hour, account, item] += sign * count
    return {key for key in quantities if events[key] or (key[2] == 1 and quantities[key])}


@pytest.mark.parametrize("seed", range(40))
def test_the_gate_breaks_where_sums_differ(seed: int) -> None:
    chance = random.Random(seed)
    hours, postings = [], []
    for number in range(30):
        hour = datetime(2026, 9, 1 + number % 3) + timedelta(hours=number)
        row = (hour, 1, chance.choice((1, 1, 1, 2)), Decimal(chance.randint(-3, 3)) / 10**9, chance.randint(0, 2))
        hours += [row] * chance.choice((1,) * 20 + (0, 2))
        first = chance.choice((row[3], row[3], row[3], Decimal(1)))
        parts = [(*row[:3], first, row[4])] + [(*row[:3], row[3] - first, 0)] * (first != row[3])
        postings += parts * chance.choice((1,) * 20 + (0, 2))
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        for table, batch, rows in (("int_usage_posted", "7, ", postings), ("int_usage_by_hour", "", hours)):
            for hour, account, item, quantity, count in rows:
                connection.execute(
                    f"insert into intermediate.{table} values ({batch}?, ?, ?, ?, ?, ?)",
                    [hour, hour.date(), account, item, quantity, count],
                )
        assert breaking(connection) == expected(postings, hours)


def test_there_are_differences_of_every_kind() -> None:
    """A gate that never broke, or always, would pass no seed by chance: here is one of each."""
    hour = datetime(2026, 9, 1)
    row = (hour, 1, 1, Decimal(1), 1)
    for postings, hours in (
        ([row], [row]),
        ([row, row], [row]),
        ([row], [row, row]),
        ([row, row], [row, row]),
        ([], [row]),
    ):
        with duckdb.connect() as connection:
            connection.execute(TABLES)
            for posting in postings:
                connection.execute(
                    "insert into intermediate.int_usage_posted values (1, ?, '2026-09-01', ?, ?, ?, ?)", posting
                )
            for shown in hours:
                connection.execute(
                    "insert into intermediate.int_usage_by_hour values (?, '2026-09-01', ?, ?, ?, ?)", shown
                )
            assert (
                breaking(connection)
                == expected(postings, hours)
                == ({(hour, 1, 1)} if len(postings) != len(hours) else set())
            )

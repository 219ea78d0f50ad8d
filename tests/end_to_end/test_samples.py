"""The samples, replayed as `make run` does: equal to the oracle and to what was planted, closed, verified, late usage adjusted, and stable."""

import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration import closing, operations, warehouse
from orchestration.publishing import AUDIENCES
from orchestration.settings import Settings, parse_instant
from raw_samples.replay import SAMPLES, STEPS
from tests.end_to_end.house import copied, fingerprints, rows
from tests.oracle import Result, compare, compute, differences_to_expected, sample_landings

SUM_OF_AMOUNTS = "select billing_period, currency_code, sum(amount) from billing.invoices where status = 'final' group by all order by all"


@pytest.fixture(scope="module")
def oracle() -> Result:
    landings, closes = sample_landings(SAMPLES)
    return compute(landings, closes)


def test_every_figure_equals_the_independent_oracle(samples_home: Settings, oracle: Result) -> None:
    with warehouse.read(samples_home) as connection:
        assert compare(oracle, connection) == []


def test_the_planted_figures_come_out(oracle: Result) -> None:
    assert differences_to_expected(oracle, SAMPLES) == []


def test_each_planted_break_has_its_planted_cause(samples_home: Settings) -> None:
    planted = json.loads((SAMPLES / "expected.json").read_text())["ledger_breaks"]
    key = ("billing_period", "account_id", "sku", "currency_code")
    expected = sorted(
        (*(one[part] for part in key), Decimal(one["difference_amount"]), one["cause"]) for one in planted
    )
    found = rows(
        samples_home.warehouse,
        f"select {', '.join(key)}, difference_amount, cause from finance.ledger_reconciliation "
        "where status = 'break' and billing_period < '2026-11'",
    )
    assert sorted(found) == expected
    assert {one["cause"] for one in planted} >= {
        "late_usage",
        "price",
        "rounding",
        "timing",
        "missing_in_ledger",
        "missing_in_usage",
    }


def test_both_months_are_final_and_verify_from_the_lake(samples_home: Settings) -> None:
    status = rows(samples_home.warehouse, "select billing_period, status from billing.billing_periods order by 1")
    assert [pair for pair in status if pair[1] == "final"] == [("2026-09", "final"), ("2026-10", "final")]
    assert closing.verify(samples_home).problems == []


def test_late_usage_is_adjusted_in_the_next_period_and_final_figures_stay(samples_home: Settings) -> None:
    adjustments = rows(
        samples_home.warehouse,
        "select billing_period, origin_period, count(*) from billing.invoice_lines where line_type = 'adjustment' group by all order by all",
    )
    assert [pair[:2] for pair in adjustments] == [("2026-10", "2026-09"), ("2026-11", "2026-10")]
    frozen = rows_of_receipts(samples_home)
    published = rows(samples_home.published / "finance.duckdb", SUM_OF_AMOUNTS)
    assert published == frozen


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_published_column_says_what_it_means(samples_home: Settings, audience: str) -> None:
    silent = "select table_name, column_name from duckdb_columns() where not internal and coalesce(comment, '') = ''"
    assert rows(samples_home.published / f"{audience}.duckdb", silent) == []


def rows_of_receipts(settings: Settings) -> list[tuple]:
    """Totals read from the frozen Parquet files, not from the warehouse."""
    files = str(settings.finalized / "*" / "invoice_lines.parquet")
    query = f"select billing_period, currency_code, sum(amount) from read_parquet('{files}') group by all order by all"
    return duckdb.sql(query).fetchall()


def test_every_step_of_an_explanation_adds_up(samples_home: Settings) -> None:
    line_ids = rows(
        samples_home.warehouse,
        "select line_id from billing.invoice_lines qualify row_number() over (partition by billing_period, line_type, pricing_model "
        "order by amount desc) <= 2 order by 1",
    )
    explained = [operations.explain(samples_home, line_id) for (line_id,) in line_ids]
    assert len(explained) >= 8
    assert [one["line"]["line_id"] for one in explained if not one["adds_up"]] == []
    assert all(isinstance(one["line"]["amount"], Decimal) for one in explained)


PLANTED = ("@example.com", "192.0.2.", "+1-202-555-01", "4111 1111 1111 1111", "4111111111111111")


def test_no_planted_private_data_in_the_home(samples_home: Settings) -> None:
    files = [path for path in samples_home.home.rglob("*") if path.is_file()]
    assert {".parquet", ".duckdb", ".json"} <= {path.suffix for path in files}
    assert [str(path.relative_to(samples_home.home)) for path in files if holds_planted(path)] == []


def test_the_search_for_private_data_finds_it(tmp_path: Path) -> None:
    database = tmp_path / "leak.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("create table t as select 1 as n, {'note': ['call +1-202-555-0199']}::json as dims")
        connection.execute(f"copy t to '{tmp_path / 'leak.parquet'}' (format parquet, compression zstd)")
    (tmp_path / "leak.log").write_text("from somebody@example.com")
    assert all(holds_planted(path) for path in tmp_path.iterdir())


def holds_planted(path: Path) -> bool:
    """Whether a file holds a planted value: Parquet files and databases are searched row by row, as text."""
    if path.suffix not in (".parquet", ".duckdb"):
        return any(needle.encode() in path.read_bytes() for needle in PLANTED)
    with duckdb.connect(
        str(path) if path.suffix == ".duckdb" else ":memory:", read_only=path.suffix == ".duckdb"
    ) as connection:
        tables = (
            [f"read_parquet('{path}', hive_partitioning = false)"]
            if path.suffix == ".parquet"
            else [
                f'"{s}"."{t}"'
                for s, t in connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            ]
        )
        condition = " or ".join(f"contains(row_text, '{needle}')" for needle in PLANTED)
        return any(
            connection.execute(
                f"select count(*) from (select t::varchar as row_text from {table} as t) where {condition}"
            ).fetchone()[0]
            for table in tables
        )


def test_replaying_changes_not_a_byte(samples_home: Settings, tmp_path: Path) -> None:
    copy = copied(samples_home, tmp_path / "home")
    kept = ("lake", "finalized", "published")
    before = {part: fingerprints(copy.home / part) for part in kept}
    for _, step, now in STEPS:
        step(copy, parse_instant(now))
    assert {part: fingerprints(copy.home / part) for part in kept} == before

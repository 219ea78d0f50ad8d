"""The samples, replayed as `make run` does: equal to the oracle and to what was planted, closed, verified, late usage adjusted, and stable."""

from decimal import Decimal
from pathlib import Path

import pytest

from orchestration import closing, operations, warehouse
from orchestration.settings import Settings, parse_instant
from raw_samples.replay import SAMPLES, STEPS
from tests.end_to_end.house import fingerprints, rows
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


def rows_of_receipts(settings: Settings) -> list[tuple]:
    """Totals read from the frozen Parquet files, not from the warehouse."""
    import duckdb

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


def test_no_planted_private_data_in_the_home(samples_home: Settings) -> None:
    planted = [b"@example.com", b"192.0.2.", b"+1-202-555-01", b"4111 1111 1111 1111", b"4111111111111111"]
    found = [
        (str(path.relative_to(samples_home.home)), needle)
        for path in samples_home.home.rglob("*")
        if path.is_file()
        for needle in planted
        if needle in uncompressed(path)
    ]
    assert found == []


def uncompressed(path: Path) -> bytes:
    """A file's content as a searcher would see it: Parquet and databases as the text of all their rows."""
    import duckdb

    if path.suffix == ".parquet":
        return "\n".join(
            map(str, duckdb.sql(f"from read_parquet('{path}', hive_partitioning = false)").fetchall())
        ).encode()
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
            return "\n".join(str(connection.execute(f'from "{s}"."{t}"').fetchall()) for s, t in tables).encode()
    return path.read_bytes()


def test_replaying_changes_not_a_byte(samples_home: Settings, tmp_path: Path) -> None:
    import shutil

    copy = Settings(tmp_path / "home", samples_home.memory_limit, samples_home.threads)
    shutil.copytree(samples_home.home, copy.home)
    kept = ("lake", "finalized", "published")
    before = {part: fingerprints(copy.home / part) for part in kept}
    for _, step, now in STEPS:
        step(copy, parse_instant(now))
    assert {part: fingerprints(copy.home / part) for part in kept} == before

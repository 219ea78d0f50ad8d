"""The dbt project as an analyst uses it: plain dbt in dbt_project/, its unit tests, its docs, and data tests that fail when they must."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from orchestration import landing, warehouse
from orchestration.settings import DBT_PROJECT, Settings
from tests.end_to_end.histories import Options, make_history
from tests.end_to_end.house import copied

DBT = Path(sys.executable).with_name("dbt")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with one small landing, built."""
    folder = tmp_path_factory.mktemp("dbt")
    settings = Settings(folder / "home", "2GB", 2)
    (first,) = make_history(7, Options(events=200, landings=1)).write(folder / "dumps")
    landing.land(settings, [Path(first.paths)], first.landed_at)
    warehouse.build(settings, first.landed_at)
    return settings


def dbt(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Plain dbt in the project folder, with its own target folder."""
    folder = settings.home.parent
    environment = {
        **os.environ,
        "USAGE_HOME": str(settings.home),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    return subprocess.run(
        [str(DBT), "--no-use-colors", *arguments],
        cwd=DBT_PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_plain_dbt_build_with_unit_tests_show_and_docs(built: Settings) -> None:
    build = dbt(built, "build")
    assert build.returncode == 0, build.stdout[-3000:]
    assert "16 unit tests" in build.stdout
    show = dbt(built, "show", "--select", "invoices", "--output", "json")
    assert show.returncode == 0 and "currency_code" in show.stdout, show.stdout
    docs = dbt(built, "docs", "generate")
    assert docs.returncode == 0, docs.stdout[-3000:]


def test_plain_dbt_compiles_on_a_home_that_was_never_built(built: Settings, tmp_path: Path) -> None:
    unbuilt = Settings(tmp_path / "home", "2GB", 2)
    shutil.copytree(built.lake, unbuilt.lake)
    compiled = dbt(unbuilt, "compile")
    assert compiled.returncode == 0, compiled.stdout[-3000:]


def test_every_public_column_has_a_description_and_a_type(built: Settings) -> None:
    with warehouse.read(built) as connection:
        bare = connection.execute(
            "select schema_name || '.' || table_name || '.' || column_name from duckdb_columns() "
            "where schema_name in ('usage', 'billing', 'finance', 'operations') and coalesce(comment, '') = '' order by 1"
        ).fetchall()
    assert bare == []


# What each data test must find: the damage, then the test that names it.
DAMAGES = [
    (
        "update operations.event_conservation set attributed = attributed - 1, difference = 1",
        "every_record_is_accounted_for",
    ),
    ("delete from intermediate.int_usage_by_date where rowid = 0", "usage_is_the_sum_of_its_postings"),
    ("insert into billing.currencies select * from billing.currencies limit 1", "primary_key_currencies_currency_code"),
    (
        "update billing.currencies set currency_code = null where currency_code = 'USD'",
        "primary_key_currencies_currency_code",
    ),
    (
        "update intermediate.int_usage_by_date set quantity = quantity + 0.000000001 where rowid = 0",
        "usage_is_the_sum_of_its_postings",
    ),
    (
        "insert into intermediate.int_usage_by_date select * replace (date '2020-01-01' as billing_date, 0 as quantity, 0 as event_count) "
        "from intermediate.int_usage_by_date where event_count <> 0 limit 1",
        "usage_is_the_sum_of_its_postings",
    ),
    (
        "delete from billing.invoice_lines where line_type = 'usage' and quantity <> 0; delete from billing.unpriced_usage",
        "no_usage_without_a_line",
    ),
    ("update billing.invoice_lines set quantity = quantity + 1 where quantity <> 0", "no_line_without_usage"),
    ("insert into billing.invoice_lines from billing.invoice_lines limit 1", "unique_invoice_lines_line_id"),
    (
        "insert into billing.invoices select * from billing.invoices limit 1",
        "unique_grain_invoices_billing_period__account_id__currency_code",
    ),
    (
        "update billing.invoice_line_tiers set tier_amount = tier_amount + 0.000000000001 "
        "where line_id in (select line_id from billing.invoice_lines where line_type = 'discount')",
        "tiers_sum_to_every_line",
    ),
    (
        "update billing.line_allocations set allocated_amount = allocated_amount + 0.01 where rowid = 0",
        "allocations_sum_to_lines",
    ),
    ("update billing.credit_balances set closing_amount = closing_amount + 1 where rowid = 0", "no_credit_below_zero"),
    ("delete from billing.invoice_lines where line_type = 'minimum'", "no_minimum_missed"),
    ("create table finance.drifted as select 0.1::double as amount", "money_and_quantities_are_never_floats"),
    (
        "update billing.invoice_lines set amount = amount + 1 where rowid = 0; create or replace view staging.stg_finalized__receipts as "
        "select billing_period, 1::bigint as cutoff_batch_id from billing.invoice_lines",
        "final_rows_are_the_frozen_ones",
    ),
]


@pytest.mark.parametrize(("damage", "test"), DAMAGES, ids=[test for _, test in DAMAGES])
def test_each_data_test_fails_on_the_damage_it_is_for(built: Settings, tmp_path: Path, damage: str, test: str) -> None:
    home = copied(built, tmp_path / "home")
    assert failures(home, test) == []
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute(damage)
    assert failures(home, test) == [test]


def failures(settings: Settings, test: str) -> list[str]:
    """The data tests that fail when only `test` runs."""
    from orchestration.errors import UsageWarehouseError

    try:
        warehouse.build(settings, select=[f"{test},resource_type:test"])
    except UsageWarehouseError as error:
        return [str(error).split(":")[0]]
    return []

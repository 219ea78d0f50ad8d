"""`usage compare`: every way in which two homes can differ is found from either side, to the last digit, and nothing is written."""

import json
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result

from orchestration.cli import main
from orchestration.errors import UsageWarehouseError
from orchestration.locking import undisturbed, writing
from orchestration.operations.comparing import KEYS
from orchestration.settings import DBT_PROJECT, load_settings
from tests.end_to_end.house import fingerprints

# Four of the marts as the contract types them: one key, a key of several columns, keys with nulls, no figures.
MARTS = """
    create schema billing;
    create table billing.invoice_lines (
        line_id varchar, account_id varchar, quantity decimal(38, 9), precise_amount decimal(38, 12), amount decimal(38, 6),
        status varchar, version integer);
    insert into billing.invoice_lines values
        ('line-1', 'a', 10, 1.000000000001, 1, 'final', 1),
        ('line-2', 'b', 20.5, 2.25, 2.25, 'provisional', 1),
        ('line-3', 'c', 0, 12345678901234567890123456.123456789012, 12345678901234567890123456.12, 'provisional', 1);
    create table billing.invoices (
        billing_period varchar, account_id varchar, currency_code varchar, amount decimal(38, 6), status varchar, line_count bigint);
    insert into billing.invoices values ('2026-09', 'a', 'USD', 1, 'final', 1), ('2026-09', 'b', 'USD', 2.25, 'provisional', 1);
    create table billing.unpriced_usage (
        billing_period varchar, account_id varchar, metric varchar, sku varchar, region varchar, plan_id varchar,
        quantity decimal(38, 9), unit varchar, event_count bigint);
    insert into billing.unpriced_usage values
        ('2026-09', 'a', 'm', 's', 'eu', null, 3, 'GB', 2), ('2026-09', 'a', 'm', 's', 'eu', 'plan', 4, 'GB', 5);
    create table billing.billing_periods (billing_period varchar, status varchar, cutoff_batch_id bigint);
    insert into billing.billing_periods values ('2026-09', 'final', 7), ('2026-10', 'open', null);
"""
COUNTS = ("only_here", "only_there", "differing")


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Path, Path]:
    """Two homes with the same figures."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    change(here, MARTS)
    shutil.copytree(here, there)
    return here, there


def change(home: Path, statements: str) -> None:
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute(statements)


def run(here: Path, there: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["compare", "--home", str(here), "--against", str(there), *arguments])


def marts(result: Result) -> dict[str, dict]:
    return {mart["mart"]: mart for mart in json.loads(result.stdout)["marts"]}


def test_equal_homes_are_equal_and_nothing_is_written(homes: tuple[Path, Path]) -> None:
    here, there = homes
    before = fingerprints(here), fingerprints(there)
    for other in (there, there / "warehouse.duckdb", here):
        result = run(here, other, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        found = marts(result)
        assert {mart: (row["rows_here"], row["rows_there"]) for mart, row in found.items()} == {
            "billing.invoice_lines": (3, 3),
            "billing.invoices": (2, 2),
            "billing.unpriced_usage": (2, 2),
            "billing.billing_periods": (2, 2),
        }
        assert all(row[count] == 0 for row in found.values() for count in (*COUNTS, "within_tolerance"))
        assert all(row["largest"] is None for row in found.values())
    assert (fingerprints(here), fingerprints(there)) == before


# What happens to the rows of one home; the mart; (rows it lacks, rows it has too many, rows that differ).
DAMAGES = {
    "a row is lost": ("delete from billing.invoice_lines where line_id = 'line-2'", "billing.invoice_lines", (1, 0, 0)),
    "a row too many": (
        "insert into billing.invoices values ('2026-10', 'a', 'USD', 0, 'provisional', 0)",
        "billing.invoices",
        (0, 1, 0),
    ),
    "a row twice": ("insert into billing.invoices from billing.invoices limit 1", "billing.invoices", (0, 1, 0)),
    "another grain": (
        "update billing.invoices set currency_code = 'EUR' where account_id = 'a'",
        "billing.invoices",
        (1, 1, 0),
    ),
    "a row without plan is lost": (
        "delete from billing.unpriced_usage where plan_id is null",
        "billing.unpriced_usage",
        (1, 0, 0),
    ),
    "a figure": (
        "update billing.invoice_lines set precise_amount = precise_amount + 0.000000000001 where line_id = 'line-3'",
        "billing.invoice_lines",
        (0, 0, 1),
    ),
    "a count where the plan is null": (
        "update billing.unpriced_usage set event_count = 3 where plan_id is null",
        "billing.unpriced_usage",
        (0, 0, 1),
    ),
    "a figure that is none": (
        "update billing.invoice_lines set amount = null where line_id = 'line-1'",
        "billing.invoice_lines",
        (0, 0, 1),
    ),
    "a state": ("update billing.billing_periods set status = 'provisional'", "billing.billing_periods", (0, 0, 2)),
    "a name by number": (
        "update billing.billing_periods set cutoff_batch_id = 8",
        "billing.billing_periods",
        (0, 0, 2),
    ),
}


@pytest.mark.parametrize("damaged", ["here", "there"])
@pytest.mark.parametrize(("damage", "mart", "counts"), DAMAGES.values(), ids=DAMAGES)
def test_each_damage_is_found_from_both_sides(
    homes: tuple[Path, Path], damage: str, mart: str, counts: tuple[int, int, int], damaged: str
) -> None:
    here, there = homes
    change(here if damaged == "here" else there, damage)
    lacks, has_too_many, differ = counts
    expected = (has_too_many, lacks, differ) if damaged == "here" else (lacks, has_too_many, differ)
    result = run(here, there, "--json")
    assert result.exit_code == 4
    found = marts(result)
    assert tuple(found[mart][count] for count in COUNTS) == expected
    assert all(row["equal"] for name, row in found.items() if name != mart)
    assert mart in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("damaged", [0, 1], ids=["here", "there"])
@pytest.mark.parametrize(
    ("column", "smallest"),
    [("quantity", "0.000000001"), ("precise_amount", "0.000000000001"), ("amount", "0.000001")],
)
def test_a_difference_equal_to_the_tolerance_passes_and_the_next_digit_fails(
    homes: tuple[Path, Path], column: str, smallest: str, damaged: int
) -> None:
    tolerance = Decimal("0.25")
    edge = f"update billing.invoice_lines set {column} = {column} - {tolerance} where line_id = 'line-2'"
    change(homes[damaged], edge)
    passed = run(*homes, "--tolerance", str(tolerance), "--json")
    assert passed.exit_code == 0
    assert [marts(passed)["billing.invoice_lines"][count] for count in ("differing", "within_tolerance")] == [0, 1]
    assert run(*homes, "--tolerance", str(tolerance - Decimal("0.000000000001"))).exit_code == 4
    change(
        homes[damaged], f"update billing.invoice_lines set {column} = {column} - {smallest} where line_id = 'line-2'"
    )
    assert run(*homes, "--tolerance", str(tolerance)).exit_code == 4
    assert run(*homes, "--tolerance", str(tolerance + Decimal(smallest))).exit_code == 0


def test_counts_take_the_tolerance_and_names_never_do(homes: tuple[Path, Path]) -> None:
    here, there = homes
    change(there, "update billing.invoices set line_count = line_count + 2 where account_id = 'a'")
    assert run(here, there, "--tolerance", "2").exit_code == 0
    assert run(here, there, "--tolerance", "1.999999999999").exit_code == 4
    change(there, "update billing.invoices set line_count = line_count - 2 where account_id = 'a'")
    assert run(here, there).exit_code == 0
    change(there, "update billing.invoice_lines set version = 2 where line_id = 'line-1'")
    assert run(here, there, "--tolerance", "1000").exit_code == 4


def test_a_tolerance_beyond_all_digits_is_no_error(homes: tuple[Path, Path]) -> None:
    change(homes[0], "update billing.invoice_lines set amount = 0")
    assert run(*homes, "--tolerance", "1e300").exit_code == 0
    assert run(*homes, "--tolerance", "1e-300").exit_code == 4


def test_the_largest_difference_is_exact_and_names_its_row(homes: tuple[Path, Path]) -> None:
    here, there = homes
    change(
        here,
        "update billing.invoice_lines set precise_amount = precise_amount + 3.000000000007 where line_id = 'line-3'",
    )
    change(here, "update billing.invoice_lines set quantity = quantity - 2 where line_id = 'line-1'")
    largest = marts(run(here, there, "--json"))["billing.invoice_lines"]["largest"]
    assert largest == {"column": "precise_amount", "difference": "3.000000000007", "key": {"line_id": "line-3"}}
    mirrored = marts(run(there, here, "--json"))["billing.invoice_lines"]["largest"]
    assert mirrored["difference"] == "-3.000000000007"
    shown = run(here, there).stdout
    assert "3.000000000007" in shown and "line-3" in shown and "NOT equal" in shown


def test_a_new_column_is_reported_and_a_vanished_figure_fails(homes: tuple[Path, Path]) -> None:
    here, there = homes
    change(here, "alter table billing.invoices add column reporting_amount decimal(38, 6)")
    change(here, "alter table billing.invoice_lines add column charge_type varchar")
    grown = run(here, there, "--json")
    assert grown.exit_code == 0
    assert marts(grown)["billing.invoices"]["columns_only_here"] == ["reporting_amount"]
    assert marts(grown)["billing.invoice_lines"]["columns_only_here"] == ["charge_type"]
    shrunk = run(there, here, "--json")
    assert shrunk.exit_code == 4 and "no reporting_amount any more" in shrunk.stderr
    assert marts(shrunk)["billing.invoice_lines"]["columns_only_there"] == ["charge_type"]
    assert marts(shrunk)["billing.invoice_lines"]["equal"]


def test_a_figure_that_became_text_or_a_float_has_vanished(homes: tuple[Path, Path]) -> None:
    here, there = homes
    change(here, "alter table billing.invoices alter amount type double")
    turned = run(here, there, "--json")
    assert turned.exit_code == 4
    assert marts(turned)["billing.invoices"]["vanished"] == ["amount"]
    assert marts(turned)["billing.invoices"]["columns_of_other_type"] == ["amount"]


def test_a_new_mart_is_reported_and_a_missing_one_fails(homes: tuple[Path, Path]) -> None:
    here, there = homes
    change(there, "drop table billing.unpriced_usage")
    new = run(here, there, "--json")
    assert new.exit_code == 0 and json.loads(new.stdout)["marts_only_here"] == ["billing.unpriced_usage"]
    missing = run(there, here)
    assert missing.exit_code == 4 and "billing.unpriced_usage: missing here" in missing.stderr


def test_a_home_without_a_warehouse_is_a_failure_on_either_side(homes: tuple[Path, Path], tmp_path: Path) -> None:
    for here, there in ((homes[0], tmp_path / "nowhere"), (tmp_path / "nowhere", homes[0]), (homes[0], tmp_path)):
        failed = run(here, there)
        assert failed.exit_code == 1
        assert "there is no warehouse in" in failed.stderr and len(failed.stderr.splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("busy", [0, 1], ids=["here", "there"])
def test_a_home_that_is_being_written_to_is_not_compared(homes: tuple[Path, Path], busy: int) -> None:
    with writing(load_settings(homes[busy]), "nightly"):
        failed = run(*homes)
    assert failed.exit_code == 1 and "another run is writing" in failed.stderr and "nightly" in failed.stderr
    assert run(*homes).exit_code == 0


@pytest.mark.parametrize("busy", [0, 1], ids=["here", "there"])
def test_a_database_that_another_process_holds_is_a_clear_error(homes: tuple[Path, Path], busy: int) -> None:
    file = homes[busy] / "warehouse.duckdb"
    hold = f"import duckdb\nwith duckdb.connect({str(file)!r}): print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        failed = run(*homes)
        holder.communicate("\n")
    assert failed.exit_code == 1
    assert f"cannot read {file}" in failed.stderr and len(failed.stderr.splitlines()) == 1


def test_readers_share_a_home_and_a_writer_waits_for_them(homes: tuple[Path, Path]) -> None:
    settings = load_settings(homes[0])
    with writing(settings, "nightly"):
        pass
    readers = undisturbed(settings.home), undisturbed(settings.home)
    with readers[0], readers[1], pytest.raises(UsageWarehouseError, match="another run"):
        writing(settings, "land", wait_seconds=0.3).__enter__()
    with writing(settings, "land", wait_seconds=0.3):
        pass


@pytest.mark.parametrize("tolerance", ["-0.01", "nan", "infinity", "much"])
def test_a_tolerance_that_is_no_decimal_is_a_wrong_argument(homes: tuple[Path, Path], tolerance: str) -> None:
    assert run(*homes, "--tolerance", tolerance).exit_code == 2


def grains() -> dict[str, set[str]]:
    """mart → the columns that the dbt project tests to be unique."""
    found = {}
    for file in sorted((DBT_PROJECT / "models" / "marts").rglob("*.yml")):
        for model in yaml.safe_load(file.read_text(encoding="utf-8")).get("models", []):
            tests = [test["unique_grain"] for test in model.get("data_tests", []) if "unique_grain" in test]
            columns = [set(test["arguments"]["columns"]) for test in tests]
            columns += [{c["name"]} for c in model["columns"] if "unique" in c.get("data_tests", [])]
            found[f"{file.parent.name}.{model['name']}"] = columns[0] if columns else set()
    return found


def test_every_mart_of_the_project_is_compared_by_its_grain() -> None:
    project = grains()
    assert len(project) >= 17
    assert {mart: set(KEYS.get(mart, ())) for mart in project} == project

"""Published files: what each audience sees, put in place without a reader or a nightly run noticing."""

import dataclasses
import hashlib
import random
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from small_home import SECRET_KEY, build_warehouse

from orchestration.errors import UsageWarehouseError
from orchestration.publishing import AUDIENCES, publish
from orchestration.publishing.audiences import SERIES

PROJECT = Path(__file__).parents[3]


def files(settings) -> list[Path]:
    return [settings.published / f"{audience}.duckdb" for audience in AUDIENCES]


def state(settings) -> list[tuple]:
    """What would show that a file was touched: its identity, its time and its bytes."""
    return [
        (path.stat().st_ino, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in files(settings)
    ]


def ask(settings, audience, query):
    """A reader's query, as finance or an analyst would type it."""
    with duckdb.connect(str(settings.published / f"{audience}.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def change_warehouse(settings, statement):
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute(statement)


@pytest.mark.parametrize("audience", AUDIENCES)
@pytest.mark.parametrize(
    "relation",
    [
        "usage.usage_daily",
        "usage.usage_monthly",
        "usage.late_usage",
        "usage.unattributed_usage",
        "billing.invoice_lines",
        "billing.invoice_line_tiers",
        "billing.invoices",
        "billing.billing_periods",
        "billing.unpriced_usage",
        "finance.ledger_reconciliation",
        "operations.event_conservation",
        "operations.batches",
        "operations.gate_results",
        "operations.pipeline_slis",
    ],
)
def test_marts_are_found_under_their_public_names(published, audience, relation):
    """In finance.duckdb a schema named `finance` would make finance.ledger_reconciliation ambiguous."""
    with duckdb.connect(str(published.warehouse), read_only=True) as warehouse:
        [(expected,)] = warehouse.execute(f"select count(*) from {relation}").fetchall()
    assert ask(published, audience, f"select count(*) from {relation}") == [(expected,)]


def test_the_figures_are_the_warehouses(published):
    query = "select * from billing.invoice_lines order by all"
    with duckdb.connect(str(published.warehouse), read_only=True) as warehouse:
        expected = warehouse.execute(query).fetchall()
    assert ask(published, "finance", query) == ask(published, "analyst", query) == expected != []


@pytest.mark.parametrize("relation", ["usage.usage_daily", "usage.usage_hourly"])
def test_a_mart_taken_apart_shows_what_the_warehouse_shows_under_any_name_of_the_file(published, relation, tmp_path):
    """Names, types, comments and rows; also where a file of another name holds such relations as well."""
    described = f"select column_name, data_type, comment from duckdb_columns() where table_name = '{relation[6:]}'"
    described += " and not internal order by column_index"
    queries = [f"select * from {relation} order by all", described]
    with duckdb.connect(str(published.warehouse), read_only=True) as warehouse:
        expected = [warehouse.execute(query).fetchall() for query in queries]
    assert [ask(published, "analyst", query) for query in queries] == expected and expected[0]
    renamed = shutil.copy(published.published / "analyst.duckdb", tmp_path / "copy of a file.duckdb")
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute(f"create schema usage; create table {relation}_series (a integer)")
        other.execute(f"attach '{renamed}' as attached (read_only)")
        assert other.execute(f"select * from attached.{relation} order by all").fetchall() == expected[0]


def test_what_is_taken_apart_may_be_null_and_keeps_its_rows(home):
    """Of two series one has no region, the other neither region nor SKU; a third has no figures."""
    change_warehouse(
        home,
        """
        create temp table strange as
            select series.* replace (101 + number as item_id, null as region, if(number = 1, null, sku) as sku)
            from (from intermediate.int_usage_series limit 1) as series cross join range(3) as numbers (number);
        insert into intermediate.int_usage_series from strange;
        insert into intermediate.int_usage_by_date
            select figures.* replace (strange.account_number as account_number, strange.item_id as item_id, 7 as quantity)
            from (from intermediate.int_usage_by_date limit 1) as figures
            inner join strange on strange.item_id in (101, 102)""",
    )
    publish(home)
    query = "select * from usage.usage_daily order by all"
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        expected = warehouse.execute(query).fetchall()
    assert ask(home, "finance", query) == expected


def test_finance_sees_no_events_and_no_hours(published):
    names = ask(
        published, "finance", "select table_name from duckdb_tables() union select view_name from duckdb_views()"
    )
    assert not [name for (name,) in names if name.startswith(("usage_events", "usage_hourly", "held_usage", "int_"))]
    columns = {
        name for (name,) in ask(published, "finance", "select column_name from duckdb_columns() where not internal")
    }
    assert not columns & {"event_id", "dims", "extra", "api_key", "resource_id"}
    numbered = [relation for relation in AUDIENCES["finance"] if relation.source.startswith("intermediate.")]
    assert numbered == [SERIES]


def test_finance_sees_the_end_of_an_api_key_only(home):
    query = "select key_type, key_value from usage.unattributed_usage order by all"
    assert ask(home, "finance", query) == [("api_key", "…abcd"), ("namespace", "unknown-team")]
    assert ask(home, "analyst", query) == [("api_key", SECRET_KEY), ("namespace", "unknown-team")]
    assert SECRET_KEY.encode() not in (home.published / "finance.duckdb").read_bytes()
    change_warehouse(home, "update usage.unattributed_usage set key_value = 'abcd' where key_type = 'api_key'")
    publish(home)
    assert ask(home, "finance", query)[0] == ("api_key", "…")


def test_the_documentation_is_carried_over(published):
    query = "select comment from duckdb_columns() where table_name = '{}' and column_name = '{}'"
    assert ask(published, "finance", query.format("invoice_lines", "amount")) == [
        ("Rounded once, in the currency's minor unit.",)
    ]
    assert ask(published, "finance", query.format("ledger_reconciliation", "cause")) == [("Why the two differ.",)]
    assert ask(published, "analyst", "select comment from duckdb_tables() where table_name = 'invoice_lines'") == [
        ("One line of an invoice; grain line_id.",)
    ]


def test_the_mode_lets_the_group_read(published):
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(published)} == {0o640}
    assert list(published.published.glob("*.wal")) == []


def test_publishing_twice_leaves_the_files_alone(home):
    before = state(home)
    assert publish(home) == files(home)
    assert state(home) == before


def test_the_same_content_in_other_bytes_is_left_alone_too(home):
    """A file that another version of DuckDB would lay out otherwise is still the same publication."""
    path = home.published / "finance.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table main.passing (a integer); drop table main.passing; checkpoint")
        connection.execute("create or replace table usage.late_usage as from usage.late_usage; checkpoint")
    before = state(home)
    publish(home)
    assert state(home) == before


@pytest.mark.parametrize(
    "statement",
    [
        "update billing.invoice_lines set amount = amount + 1 where region = 'eu-1'",
        "insert into intermediate.int_usage_by_date from intermediate.int_usage_by_date limit 1",
        "comment on column billing.invoices.amount is 'Another meaning.'",
        "alter table billing.invoices add column more integer",
    ],
)
def test_any_change_is_published(home, statement):
    before = state(home)
    change_warehouse(home, statement)
    publish(home)
    assert all(old[0] != new[0] for old, new in zip(before, state(home), strict=True))


def test_equal_content_gives_equal_bytes_on_any_number_of_threads(home):
    before = [entry[2] for entry in state(home)]
    for path in files(home):
        path.unlink()
    shutil.rmtree(home.kept)
    publish(dataclasses.replace(home, threads=1))
    assert [entry[2] for entry in state(home)] == before


def written_anew_twice(home, audience):
    """The hashes of the audience's file, published twice from nothing; the second stays."""
    hashes = set()
    for _ in range(2):
        shutil.rmtree(home.kept)
        (file := home.published / f"{audience}.duckdb").unlink()
        publish(home)
        hashes.add(hashlib.sha256(file.read_bytes()).hexdigest())
    return hashes


def test_large_tables_of_texts_give_equal_bytes_too(home):
    """DuckDB's own way of writing texts depends on what happens to lie in memory, and on a random sample."""
    change_warehouse(
        home,
        """
        create or replace table intermediate.int_usage_series as
            select * replace (
                account_number * 10000 + number as account_number,
                account_id || '-' || number || '-' || sha256(number::varchar) as account_id
            )
            from intermediate.int_usage_series cross join range(2000) as numbers (number);
        create or replace table intermediate.int_usage_by_hour as
            select * replace (account_number * 10000 + number as account_number)
            from intermediate.int_usage_by_hour cross join range(2000) as numbers (number)""",
    )
    assert len(written_anew_twice(home, "analyst")) == 1


def test_only_columns_without_a_gap_are_packed_as_bits(home):
    """DuckDB packs what happens to stand where a value is null: here every third peak, between values that it would pack."""
    change_warehouse(
        home,
        """
        create or replace table intermediate.int_usage_by_date as
            select * replace (
                account_number * 10000 + number as account_number,
                quantity + number as quantity,
                if(number % 3 = 0, null, quantity + number) as peak_per_minute
            )
            from intermediate.int_usage_by_date cross join range(5000) as numbers (number);
        alter table intermediate.int_usage_by_date alter quantity set not null""",
    )
    assert len(written_anew_twice(home, "finance")) == 1
    packed = ask(
        home,
        "finance",
        "select column_name from pragma_storage_info('usage.usage_daily_figures') where compression = 'BitPacking' and segment_type <> 'VALIDITY'",
    )
    assert {column for (column,) in packed} == {"quantity"}


def test_wide_integers_keep_their_type_and_value(home):
    """Sums of integers are 128 bits wide, which the Parquet files on the way cannot hold."""
    big = 2**100
    change_warehouse(home, f"alter table billing.invoices alter line_count type hugeint using {big}")
    publish(home)
    assert ask(home, "finance", "select distinct line_count, typeof(line_count) from billing.invoices") == [
        (big, "HUGEINT")
    ]


def test_a_writer_that_fails_says_why_and_changes_nothing(home, monkeypatch):
    before = state(home)
    monkeypatch.setattr("orchestration.publishing.writing.__file__", "/nowhere/writing.py")
    with pytest.raises(UsageWarehouseError, match=r"cannot write analyst\.duckdb: .*nowhere"):
        publish(home)
    assert state(home) == before


def test_a_damaged_file_is_replaced(home):
    for content in (b"", b"nonsense"):
        (home.published / "finance.duckdb").chmod(0o644)
        (home.published / "finance.duckdb").write_bytes(content)
        publish(home)
        assert ask(home, "finance", "select count(*) > 0 from billing.invoice_lines") == [(True,)]


def test_a_missing_relation_is_named_and_the_old_file_stays(home):
    before = state(home)
    change_warehouse(home, "drop table operations.pipeline_slis")
    with pytest.raises(UsageWarehouseError, match=r"operations\.pipeline_slis is missing"):
        publish(home)
    assert state(home) == before


def test_without_a_warehouse_there_is_nothing_to_publish(home):
    home.warehouse.unlink()
    with pytest.raises(UsageWarehouseError, match=r"warehouse\.duckdb is missing"):
        publish(home)


# --- readers, and killed runs ---------------------------------------------------------------------

READER = """
import sys, duckdb
path = sys.argv[1]
query = "select count(*), sum(amount) from billing.invoice_lines"
held = duckdb.connect(path, read_only=True)
print(held.execute(query).fetchone(), flush=True)
for line in sys.stdin:
    connection = held if line.strip() == "held" else duckdb.connect(path, read_only=True)
    print(connection.execute(query).fetchone(), flush=True)
"""


def test_a_reader_keeps_the_old_file_and_a_new_one_sees_the_new(home):
    """In another process, while the file is replaced over and over."""
    path = home.published / "finance.duckdb"
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": PROJECT}
    with subprocess.Popen([sys.executable, "-c", READER, str(path)], **options) as reader:
        first = reader.stdout.readline()
        for _ in range(6):
            change_warehouse(home, "update billing.invoice_lines set amount = amount + 1")
            publish(home)
            reader.stdin.write("held\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == first
        reader.stdin.close()
        assert reader.wait() == 0
    now = ask(home, "finance", "select count(*), sum(amount) from billing.invoice_lines")
    assert f"{now[0]}\n" != first


def test_a_kill_leaves_the_old_file_or_the_new(home):
    """SIGKILL while the files are replaced over and over: each is whole, and publishing again still works."""
    script = f"""
import sys
sys.path.insert(0, {str(PROJECT / "tests/orchestration/closing")!r})
from pathlib import Path
import duckdb
from orchestration.publishing import publish
from orchestration.settings import Settings
settings = Settings(home=Path({str(home.home)!r}), memory_limit="512MB", threads=2)
print("ready", flush=True)
while True:
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute("update billing.invoice_lines set amount = amount + 1")
    publish(settings)
"""
    shuffled = random.Random(11)
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=PROJECT) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(shuffled.uniform(0.1, 0.5))
            process.kill()
        for audience in AUDIENCES:
            assert ask(home, audience, "select count(*) > 0 from billing.invoice_lines") == [(True,)]
    build_warehouse(home, 3)
    publish(home)
    assert {path.name for path in home.published.iterdir()} == {"finance.duckdb", "analyst.duckdb"}

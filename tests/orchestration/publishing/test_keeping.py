"""Hours, days and closed periods that are kept from one publishing to the next: what is written again, and that nothing else shows."""

import dataclasses
import os
import shutil

import duckdb
import pytest

from orchestration.closing import fingerprint
from orchestration.errors import UsageWarehouseError
from orchestration.publishing import AUDIENCES, begun, copied_ahead, publish
from orchestration.publishing.extracting import extraction
from orchestration.publishing.keeping import by, find_changes, outdated, table_of, take_copy
from tests.end_to_end.house import copied

MARTS = {"usage.usage_daily": ("finance", "analyst"), "usage.usage_hourly": ("analyst",)}
TABLES = ("intermediate.int_usage_by_date", "intermediate.int_usage_by_hour")


def change(home, *statements):
    with duckdb.connect(str(home.warehouse)) as warehouse:
        for statement in statements:
            warehouse.execute(statement)


@pytest.fixture(scope="module")
def published(published, tmp_path_factory):
    """With figures on forty dates more: those of each table's first row."""
    home = copied(published, tmp_path_factory.mktemp("dates") / "home")
    for table in TABLES:
        hour = "usage_hour + interval (day) days as usage_hour, " if "hour" in table else ""
        change(
            home,
            f"""insert into {table}
            select figures.* replace ({hour}(billing_date + interval (day) days)::date as billing_date)
            from (from {table} order by all limit 1) as figures cross join range(1000, 1040) as days (day)""",
        )
    publish(home)
    return home


def dates_of(home, table):
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        return [
            date for (date,) in warehouse.execute(f"select distinct billing_date from {table} order by 1").fetchall()
        ]


def assert_shown(home, marts=MARTS):
    """Every reader sees what the warehouse shows."""
    for mart, audiences in marts.items():
        query = f"select * from {mart} order by all"
        with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
            expected = warehouse.execute(query).fetchall()
        for audience in audiences:
            with duckdb.connect(str(home.published / f"{audience}.duckdb"), read_only=True) as connection:
                assert connection.execute(query).fetchall() == expected, (audience, mart)


def told(home, folder, audience, mart):
    """What the next publishing would tell the writer of a mart that is kept: the dates or periods, and those of the rows that it hands over."""
    relation = next(relation for relation in AUDIENCES[audience] if relation.name == mart)
    with extraction(home, folder) as warehouse:
        changes = find_changes(home, audience, home.kept / f"{audience}.duckdb", warehouse.held(audience))
        part = warehouse.changed(audience, relation, changes[table_of(audience, relation)])
    taken_out = duckdb.sql(f"select distinct {by(relation)} from '{part['rows']}' order by 1").fetchall()
    return part["changed"], [str(value) for (value,) in taken_out]


@pytest.mark.parametrize("mart", MARTS)
def test_only_dates_whose_figures_changed_are_taken_out(home, tmp_path, mart):
    assert told(home, tmp_path, "analyst", mart) == ([], [])
    table = dict(zip(MARTS, TABLES, strict=True))[mart]
    first, gone, *_, last = dates_of(home, table)[5:12]
    change(
        home,
        f"update {table} set quantity = quantity + 0.000000001 where billing_date in ('{first}', '{last}')",
        f"delete from {table} where billing_date = '{gone}'",
    )
    changed = [str(date) for date in (first, gone, last)]
    assert told(home, tmp_path, "analyst", mart) == (changed, [str(first), str(last)])


@pytest.mark.parametrize(
    "statement",
    [
        "update {table} set event_count = event_count + 1 where billing_date = '{date}'",
        "delete from {table} where billing_date = '{date}'",
        "delete from {table} where billing_date > '{date}'",
        "insert into {table} from (from {table} where billing_date = '{date}' limit 1)",
        "insert into {table} select * replace (billing_date + 9999 as billing_date) from {table} where billing_date = '{date}'",
        "update {table} set account_number = account_number + 70000",
        "delete from {table}",
    ],
)
@pytest.mark.parametrize("table", TABLES)
def test_readers_see_what_the_warehouse_shows_whatever_changed(home, table, statement):
    numbers = "update intermediate.int_usage_series set account_number = account_number + 70000"
    date = dates_of(home, table)[7]
    change(home, statement.format(table=table, date=date), *([numbers] if "70000" in statement else []))
    publish(home)
    assert_shown(home)


def test_nights_in_a_row_show_what_the_warehouse_shows(home):
    for night in range(8):
        for table in TABLES:
            change(
                home,
                f"delete from {table} where billing_date = '{dates_of(home, table)[-1 - night % 3]}'",
                f"update {table} set quantity = quantity + 1 where dayofmonth(billing_date) = {1 + night}",
            )
        publish(home)
        assert_shown(home)


def test_other_columns_are_written_anew(home):
    for table in TABLES:
        change(home, f"alter table {table} alter event_count type integer")
    publish(home)
    assert_shown(home)


def test_a_column_that_may_be_null_by_now_is_written_anew(home):
    """What is kept of it has a value in every row, and is written as such a column is."""
    for table in TABLES:
        change(home, f"alter table {table} alter quantity set not null")
    publish(home)
    for table in TABLES:
        change(
            home,
            f"alter table {table} alter quantity drop not null",
            f"update {table} set quantity = null where billing_date = '{dates_of(home, table)[7]}'",
        )
    publish(home)
    assert_shown(home)


def test_what_is_taken_out_in_place_is_numbers(home):
    """Only the tables of figures lose rows while their file goes on."""
    with duckdb.connect(str(home.kept / "analyst.duckdb"), read_only=True) as kept:
        kinds = dict(
            kept.execute(
                "select table_name, list(distinct data_type) from duckdb_columns() where not internal group by all"
            ).fetchall()
        )
    texts = {
        table
        for table, types in kinds.items()
        if set(types) - {"BIGINT", "HUGEINT", "DATE", "TIMESTAMP", "DECIMAL(38,9)"}
    }
    assert texts == {"usage_monthly", "invoice_lines", "invoice_line_tiers", "ledger_reconciliation"}
    assert kinds.keys() - texts == {"usage_daily_figures", "usage_hourly_figures"}


def closed_and_open(home):
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        query = "select list(billing_period) from billing.billing_periods where status {} 'final'"
        return [warehouse.execute(query.format(sign)).fetchone()[0] for sign in ("=", "<>")]


@pytest.mark.parametrize("mart", ["usage.usage_monthly", "billing.invoice_lines", "billing.invoice_line_tiers"])
def test_closed_periods_are_taken_out_once(home, tmp_path, mart):
    [closed, [still_open]] = closed_and_open(home)
    assert closed and told(home, tmp_path, "finance", mart) == ([], [])
    change(home, f"update billing.billing_periods set status = 'final' where billing_period = '{still_open}'")
    assert told(home, tmp_path, "finance", mart) == ([still_open], [still_open])


def test_open_periods_are_not_kept_and_published_anew(home):
    [closed, [still_open]] = closed_and_open(home)
    change(home, f"update billing.invoice_lines set amount = amount + 1 where billing_period = '{still_open}'")
    publish(home)
    query = "select * from billing.invoice_lines order by all"
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        expected = warehouse.execute(query).fetchall()
    for audience in AUDIENCES:
        with duckdb.connect(str(home.published / f"{audience}.duckdb"), read_only=True) as connection:
            assert connection.execute(query).fetchall() == expected
        with duckdb.connect(str(home.kept / f"{audience}.duckdb"), read_only=True) as kept:
            assert kept.execute("select distinct billing_period from billing.invoice_lines").fetchall() == [
                (closed[0],)
            ]


@pytest.mark.parametrize(
    "statement",
    [
        "update {mart} set {text} = 'another' where {text} = 'former-text'",
        "delete from {mart} where {text} = 'former-text'",
        "delete from {mart}",
        "update {mart} set {text} = 'another' where {text} = 'former-text'; alter table {mart} add column more integer",
        "update {mart} set {text} = 'another' where {text} = 'former-text'; delete from billing.billing_periods",
    ],
)
@pytest.mark.parametrize(("mart", "text"), [("billing.invoice_lines", "region"), ("usage.usage_monthly", "sku")])
def test_no_text_of_a_closed_period_stays_that_is_not_in_it_any_more(home, mart, text, statement):
    [[closed], _] = closed_and_open(home)
    change(home, f"update {mart} set {text} = 'former-text' where billing_period = '{closed}'")
    publish(home)
    files = [folder / f"{audience}.duckdb" for folder in (home.published, home.kept) for audience in AUDIENCES]
    assert all(b"former-text" in file.read_bytes() for file in files)
    change(home, statement.format(mart=mart, text=text))
    publish(home)
    assert not any(b"former-text" in file.read_bytes() for file in files)
    assert_shown(home, {mart: tuple(AUDIENCES)})


def test_a_table_that_nobody_is_shown_any_more_goes(home):
    run(home.kept / "finance.duckdb", "create table usage.former as select 'former-text' as text")
    publish(home)
    for folder in (home.published, home.kept):
        assert b"former-text" not in (folder / "finance.duckdb").read_bytes()


def test_no_former_text_stays_in_a_published_file(home):
    """A database file may hold what was deleted from it."""
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        [(former,)] = warehouse.execute("select min(account_id) from intermediate.int_usage_series").fetchall()
    marker = "former-name-of-an-account"
    change(home, f"update intermediate.int_usage_series set account_id = '{marker}' where account_id = '{former}'")
    publish(home)
    assert all(marker.encode() in (home.published / f"{audience}.duckdb").read_bytes() for audience in AUDIENCES)
    change(home, f"update intermediate.int_usage_series set account_id = 'other' where account_id = '{marker}'")
    publish(home)
    assert not any(marker.encode() in (home.published / f"{audience}.duckdb").read_bytes() for audience in AUDIENCES)


def spoil(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    file.write_bytes(content)


SPOILT = {
    "absent": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "no database": lambda file: file.write_bytes(b"nonsense" * 1000),
    "half of it zeros": spoil,
    "other rows": lambda file: run(file, "update usage.usage_daily_figures set quantity = quantity * 2"),
    "a row too many": lambda file: run(
        file, "insert into usage.usage_daily_figures from usage.usage_daily_figures limit 1"
    ),
    "no table": lambda file: run(file, "drop table usage.usage_daily_figures"),
    "columns of another version": lambda file: run(
        file, "alter table usage.usage_daily_figures add column more integer"
    ),
}


def run(file, statement):
    with duckdb.connect(str(file)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("how", SPOILT)
def test_what_is_kept_is_not_trusted(home, how):
    SPOILT[how](home.kept / "analyst.duckdb")
    publish(home)
    assert_shown(home)
    assert {path.name for path in home.kept.iterdir()} == {
        f"{audience}.{kind}" for audience in AUDIENCES for kind in ("duckdb", "json")
    }


NOTES = {
    "absent": lambda note, file: note.unlink(),
    "no note": lambda note, file: note.write_text("nonsense"),
    "another note": lambda note, file: note.write_text("[]"),
    "of another audience": lambda note, file: note.write_bytes((note.parent / "finance.json").read_bytes()),
    "of a file that was touched": lambda note, file: os.utime(file),
    "of a file with other figures": lambda note, file: run(
        file, "update usage.usage_daily_figures set quantity = quantity * 2"
    ),
}


@pytest.mark.parametrize("how", NOTES)
def test_a_file_without_its_note_is_begun_anew(home, tmp_path, how):
    NOTES[how](home.kept / "analyst.json", home.kept / "analyst.duckdb")
    assert told(home, tmp_path, "analyst", "usage.usage_daily")[0] is None
    publish(home)
    assert_shown(home)
    assert told(home, tmp_path, "analyst", "usage.usage_daily") == ([], [])


def test_a_home_that_is_moved_or_copied_keeps_what_it_published(home, tmp_path):
    copy = copied(home, tmp_path / "copy")
    (folder := tmp_path / "told").mkdir()
    assert told(copy, folder, "analyst", "usage.usage_daily") == ([], [])


def test_results_of_gates_may_change_until_the_second_part_of_a_publishing(home):
    """A night takes out what does not rest on them while its gates run, and their results after that."""
    with begun(home) as publishing:
        publishing.settle()
        change(
            home,
            "delete from operations.gate_results; insert into operations.gate_results (gate) values ('measured meanwhile')",
        )
        publishing.finish()
    assert_shown(home)
    with duckdb.connect(str(home.published / "finance.duckdb"), read_only=True) as connection:
        found = connection.execute("select gate from operations.gate_results").fetchall()
    assert found == [("measured meanwhile",)]


def publish_by_night(home):
    with begun(home, compare_closed=False) as publishing:
        return publishing.finish()


def assert_same_as_kept(home):
    """What is kept stands in the published files, row by row."""
    with duckdb.connect() as connection:
        for audience in AUDIENCES:
            files = [home.kept / f"{audience}.duckdb", home.published / f"{audience}.duckdb"]
            for name, file in zip(("kept", "shown"), files, strict=True):
                connection.execute(f"attach '{file}' as {name} (read_only)")
            for table in ("usage.usage_daily_figures", "usage.usage_hourly_figures"):
                if audience == "analyst" or "daily" in table:
                    one, other = (fingerprint(connection, f"from {name}.{table}") for name in ("kept", "shown"))
                    assert one == other and one[1]
            connection.execute("detach kept; detach shown")


@pytest.mark.parametrize("meanwhile", [None, "publish", "the kept files go"])
def test_a_night_goes_on_from_a_copy_of_what_was_kept(home, monkeypatch, meanwhile):
    """Unless it is one of other files: then it makes its own."""
    copies = []
    monkeypatch.setattr(
        "orchestration.publishing.building.take_copy",
        lambda ahead, audience, kept, target: (
            take_copy(ahead, audience, kept, target), copies.append(target.exists())
        ),
    )  # fmt: skip
    with copied_ahead(home) as ahead:
        copied = ahead.result()
        assert copied.keys() == AUDIENCES.keys()
        for table in TABLES:
            change(
                home, f"update {table} set quantity = quantity + 1 where billing_date > '{dates_of(home, table)[7]}'"
            )
        if meanwhile == "publish":
            publish(home)
            copies.clear()
        if meanwhile == "the kept files go":
            shutil.rmtree(home.kept)
        with begun(home, ahead=copied) as publishing:
            publishing.finish()
    assert copies == [meanwhile is None] * len(AUDIENCES)
    assert_shown(home)
    assert_same_as_kept(home)
    assert not (home.scratch / "publish-ahead").exists()


def test_no_former_text_stays_in_a_copy(home):
    [[closed], _] = closed_and_open(home)
    mine = "update billing.invoice_lines set region = '{}' where billing_period = '" + closed + "'"
    change(home, mine.format("former-text"))
    publish(home)
    files = [folder / f"{audience}.duckdb" for folder in (home.published, home.kept) for audience in AUDIENCES]
    assert all(b"former-text" in file.read_bytes() for file in files)
    with copied_ahead(home) as ahead:
        change(home, mine.format("another"))
        with begun(home, ahead=ahead.result()) as publishing:
            publishing.finish()
    assert not any(b"former-text" in file.read_bytes() for file in files)
    assert all(b"another" in file.read_bytes() for file in files)


def test_a_copy_that_cannot_be_made_stops_nobody(home, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("orchestration.publishing.keeping.shutil.copyfile", full)
        with copied_ahead(home) as ahead:
            assert ahead.result() == {}
    with begun(home, ahead=ahead.result()) as publishing:
        publishing.finish()
    assert_shown(home)


CLOSED_DATE = "(select min(billing_date) from {table})"
SEEN_BY_NIGHT = {
    "figures of an open period": "update {table} set quantity = quantity + 1 where billing_date > '{open}'",
    "a date of an open period goes": "delete from {table} where billing_date > '{open}'",
    "a row of a closed period goes": "delete from {table} where rowid in (select min(rowid) from {table} where billing_date < '{open}')",
    "a closed date goes": f"delete from {{table}} where billing_date = {CLOSED_DATE}",
    "a period is closed anew": "update {table} set quantity = quantity + 1 where billing_date < '{open}';"
    "update billing.billing_periods set receipt_sha256 = 'another' where status = 'final'",
    "a close is taken back": "update {table} set quantity = quantity + 1 where billing_date < '{open}';"
    "update billing.billing_periods set receipt_sha256 = null, status = 'provisional'",
    "other columns": "update {table} set quantity = quantity + 1; alter table {table} alter event_count type integer",
}


@pytest.mark.parametrize("statement", SEEN_BY_NIGHT)
@pytest.mark.parametrize("table", TABLES)
def test_a_night_compares_what_is_not_final(home, table, statement):
    [_, [still_open]] = closed_and_open(home)
    change(home, SEEN_BY_NIGHT[statement].format(table=table, open=f"{still_open}-01"))
    publish_by_night(home)
    assert_shown(home)
    publish(home)
    assert_shown(home)


@pytest.mark.parametrize("mart", ["usage.usage_monthly", "billing.invoice_lines"])
def test_a_night_takes_final_figures_to_be_final_and_the_next_close_compares_them(home, mart):
    [[closed], _] = closed_and_open(home)
    tables = (*TABLES, mart)
    for table in tables:
        condition = f"billing_period = '{closed}'" if table == mart else f"strftime(billing_date, '%Y-%m') = '{closed}'"
        change(home, f"update {table} set quantity = quantity + 1 where {condition}")
    before = [(file.name, file.read_bytes()) for file in sorted(home.published.iterdir())]
    publish_by_night(home)
    assert [(file.name, file.read_bytes()) for file in sorted(home.published.iterdir())] == before
    publish(home)
    assert_shown(home, MARTS | {mart: tuple(AUDIENCES)})


def test_a_night_compares_all_where_there_is_no_note_of_before(home):
    [[closed], _] = closed_and_open(home)
    for table in TABLES:
        change(home, f"update {table} set quantity = quantity + 1 where strftime(billing_date, '%Y-%m') = '{closed}'")
    for audience in AUDIENCES:
        (home.kept / f"{audience}.json").unlink()
    publish_by_night(home)
    assert_shown(home)


def test_a_night_that_fails_between_the_parts_of_a_publishing_changes_no_file(home):
    before = {file.name: file.read_bytes() for file in home.published.iterdir()}
    change(home, "update intermediate.int_usage_by_date set quantity = quantity + 1")
    with pytest.raises(UsageWarehouseError, match="the gates died"), begun(home) as publishing:
        publishing.settle()
        raise UsageWarehouseError("the gates died")
    assert {file.name: file.read_bytes() for file in home.published.iterdir()} == before
    publish(home)
    assert_shown(home)


def test_a_publishing_that_failed_costs_the_kept_figures_alone(home):
    change(home, "alter table operations.pipeline_slis rename to away")
    with pytest.raises(UsageWarehouseError, match="pipeline_slis is missing"):
        publish(home)
    assert list(home.kept.glob("*.duckdb")) == []
    change(home, "alter table operations.away rename to pipeline_slis")
    publish(home)
    assert_shown(home)


def test_kept_figures_and_figures_written_at_once_give_the_same_rows(home, tmp_path):
    """What two homes publish may differ in its bytes alone, by what they published before."""
    for table in TABLES:
        change(home, f"update {table} set quantity = quantity + 1 where billing_date = '{dates_of(home, table)[7]}'")
    publish(home)
    grown = (home.published / "analyst.duckdb").rename(tmp_path / "grown.duckdb")
    for file in home.kept.glob("*.duckdb"):
        file.unlink()
    publish(dataclasses.replace(home, threads=1))
    with duckdb.connect() as connection:
        connection.execute(f"attach '{grown}' as grown (read_only)")
        connection.execute(f"attach '{home.published / 'analyst.duckdb'}' as once (read_only)")
        for table in ("usage_daily_figures", "usage_hourly_figures", "usage_series", "usage_monthly"):
            one, other = (fingerprint(connection, f"from {file}.usage.{table}") for file in ("grown", "once"))
            assert one == other and one[1]


# --- which dates are outdated -------------------------------------------------------------------------

FIELDS = (("quantity", "BIGINT"),)
DAYS = [f"2026-09-0{day}" for day in range(1, 9)]


def figures(**hashes):
    """Eight days of one row each; `d1=7` gives the first another hash, `d1=None` none."""
    rows = {f"d{place}": (day, 1, place) for place, day in enumerate(DAYS, 1)}
    rows |= {day: None if changed is None else (*rows[day][:2], changed) for day, changed in hashes.items()}
    return FIELDS, frozenset(row for row in rows.values() if row)


@pytest.mark.parametrize(
    ("now", "kept", "expected"),
    [
        (figures(), figures(), []),
        (figures(d3=77), figures(), ["2026-09-03"]),
        (figures(d3=None), figures(), ["2026-09-03"]),
        (figures(), figures(d2=None, d8=5), ["2026-09-02", "2026-09-08"]),
        (figures(d1=11, d2=12, d3=13, d4=14), figures(), [f"2026-09-0{day}" for day in (1, 2, 3, 4)]),
        (figures(d1=11, d2=12, d3=13, d4=14, d5=15), figures(), None),
        (figures(), None, None),
        (figures(), ((("quantity", "INTEGER"),), figures()[1]), None),
        ((FIELDS, frozenset()), figures(), None),
        ((FIELDS, frozenset()), (FIELDS, frozenset()), []),
    ],
)
def test_dates_are_outdated_where_rows_differ(now, kept, expected):
    assert outdated(now, kept) == expected

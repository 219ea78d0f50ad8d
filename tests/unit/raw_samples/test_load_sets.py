"""A load set has the asked number of records and exactly the shares that its load.json states."""

import csv
import json
from collections import Counter

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from raw_samples import generate
from raw_samples.generator import load

EVENTS, DAYS, ACCOUNTS = 20_000, 7, 60


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("load")
    return folder, load.write_load(folder, EVENTS, DAYS, ACCOUNTS, seed=5)


@pytest.fixture(scope="module")
def rows(written) -> list[dict]:
    return ds.dataset(written[0] / "events", format="parquet").to_table().to_pylist()


def test_records_and_shares_are_exact(written, rows):
    figures = json.loads((written[0] / "load.json").read_text())
    assert figures == written[1]
    assert len(rows) == figures["records"] == EVENTS
    assert len(rows) - len({row["event_id"] for row in rows}) == figures["duplicates"] == EVENTS * 5 // 1000
    bare = [row for row in rows if not (row["account_id"] or row["api_key"] or row["namespace"])]
    assert len(bare) == figures["unattributed"] == EVENTS * 2 // 100
    late = {row["event_id"] for row in rows if (row["ingested_ts"] - row["event_ts"]).days >= 1}
    assert len(late) == figures["late"] == EVENTS // 100
    assert figures["attributed"] == EVENTS - figures["duplicates"] - figures["unattributed"]


def test_duplicates_are_identical_and_come_days_later(written):
    seen, delays = {}, []
    for path in sorted((written[0] / "events").rglob("*.parquet")):
        day = path.name[11:21]
        for row in pq.read_table(path).to_pylist():
            if row["event_id"] in seen:
                earlier, first = seen[row["event_id"]]
                assert earlier == row
                delays.append(int(day[-2:]) - int(first[-2:]))
            seen[row["event_id"]] = (row, day)
    assert len(delays) == EVENTS * 5 // 1000
    assert min(delays) >= 2


def test_events_are_varied_and_skewed(rows):
    assert {len(row["event_id"]) for row in rows} == {36}
    assert len({row["sku"] for row in rows}) == 40
    assert len({row["region"] for row in rows}) == 6
    owners = Counter((row["api_key"] or "")[4:] for row in rows if row["api_key"])
    assert owners["load_00000"] > 10 * owners[f"load_{ACCOUNTS - 1:05d}"]
    assert {row["event_ts"].date().isoformat() for row in rows} == {f"2026-09-{day:02d}" for day in range(1, DAYS + 1)}


def test_every_event_fits_the_reference_tables(written, rows):
    def table(name: str) -> list[dict]:
        with (written[0] / "reference" / f"{name}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    keys = {(row["key_type"], row["key_value"]) for row in table("attribution_keys")}
    accounts = {row["account_id"] for row in table("accounts")}
    assert {("api_key", row["api_key"]) for row in rows if row["api_key"]} <= keys
    assert {("namespace", row["namespace"]) for row in rows if row["namespace"]} <= keys
    assert {row["account_id"] for row in rows if row["account_id"]} <= accounts
    priced = {(row["plan_id"], row["sku"]) for row in table("prices")}
    plans = {row["plan_id"] for row in table("account_plans")}
    assert {(plan, row["sku"]) for row in rows for plan in plans} <= priced
    base = {row["unit"]: row["base_unit"] for row in table("units")}
    unit = {row["metric"]: row["unit"] for row in table("metrics")}
    assert all(base[row["unit"]] == base[unit[row["metric"]]] for row in rows)


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(written, tmp_path):
    def contents(folder) -> dict:
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    load.write_load(tmp_path / "same", EVENTS, DAYS, ACCOUNTS, seed=5)
    load.write_load(tmp_path / "other", EVENTS, DAYS, ACCOUNTS, seed=6)
    assert contents(tmp_path / "same") == contents(written[0])
    assert contents(tmp_path / "other") != contents(written[0])


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_every_format_holds_the_same_events(written, tmp_path, form):
    load.write_load(tmp_path, EVENTS, DAYS, ACCOUNTS, seed=5, form=form)
    columns = "event_id::varchar, producer, metric, quantity::decimal(38, 9), unit, sku"
    keys = "account_id, api_key, namespace, region"
    times = "event_ts::timestamptz, ingested_ts::timestamptz"
    reader = "read_csv('{}', all_varchar=true)" if form == "csv" else "read_json('{}', format='newline_delimited')"
    with duckdb.connect() as connection:
        mine, theirs = (
            connection.execute(f"select {columns}, {keys}, {times} from {source} order by all").fetchall()
            for source in (
                f"read_parquet('{written[0]}/events/load-meter/*.parquet')",
                reader.format(f"{tmp_path}/events/load-meter/*.{form}"),
            )
        )
    assert mine == theirs


def test_few_events_over_many_days_still_add_up(tmp_path):
    figures = load.write_load(tmp_path, 3, 5, 1)
    assert figures["records"] == 3
    assert ds.dataset(tmp_path / "events", format="parquet").count_rows() == 3


@pytest.mark.parametrize("arguments", [[], ["--events", "0"], ["--seed", "1"], ["--events", "9", "--format", "xml"]])
def test_wrong_arguments_are_refused(arguments, tmp_path):
    out = ["--out", str(tmp_path)] if arguments else []
    with pytest.raises(SystemExit) as refused:
        generate.main([*out, *arguments])
    assert refused.value.code == 2

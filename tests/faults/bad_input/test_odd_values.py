"""Odd but legal values pass through landing and dbt to the usage marts; what is just beyond is rejected for its reason."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration import landing, warehouse
from orchestration.settings import Settings, parse_instant

NOW = parse_instant("2026-10-01T02:00:00Z")
TEXTS = [
    "plain",
    "Ωμέγα 名前 नाम שם اسم",
    "\u202ertl\u202c \u200f\u200e",
    "🧾👩‍👩‍👧‍👦",
    "e\u0301 is not é",
    'it\'s "quoted"',
    "two\nlines\r\nthree",
    "tab\there",
    "'; drop table usage_events; --",
    "=1+1",
    "@SUM(A1)",
    "-2",
    "\\ back\\slash \\u0041",
    "{curly} {{jinja}} {% raw %}",
    "null",
    " blank at both ends ",
    "x" * 256,
    "€" * 85 + "y",  # 256 bytes
]
TIMES = {  # as written → the UTC date of the usage
    "2000-01-01T00:00:00Z": "2000-01-01",
    "2000-01-01T13:59:59.999+14:00": None,  # before 2000 in UTC
    "2026-09-15T00:30:00+14:00": "2026-09-14",
    "2026-09-14T23:30:00-12:00": "2026-09-15",
    "1789466400123": "2026-09-15",
    "2016-12-31T23:59:60Z": "2016-12-31",
    "2026-09-15T10:00:00.123456789Z": "2026-09-15",
    "9999-12-31T23:59:59Z": "9999-12-31",
}
QUANTITIES = {"0.000000001": "0.000000001", "1e3": "1000", "1.5E-8": "0.000000015", "+7": "7", "007.50": "7.5"}


def records() -> list[dict[str, str]]:
    """One event per odd value, all else sound; every one has an account of its own, named by the value's place."""
    sound = {"producer": "p", "event_ts": "2026-09-15T10:00:00Z", "metric": "api", "quantity": "1", "unit": "request"}
    found = [
        sound | {"event_id": text, "account_id": text, "region": text, "sku": text, "note": text} for text in TEXTS
    ]
    for text in TIMES:
        known = {"ingested_ts": "9999-12-31T23:59:59Z"} if text.startswith("9999") else {}
        found.append(sound | known | {"event_id": f"t-{text}", "event_ts": text, "account_id": f"t-{text}"})
    found += [sound | {"event_id": f"q-{q}", "quantity": q, "account_id": f"q-{q}"} for q in QUANTITIES]
    return [*found, sound | {"event_id": "x" * 257, "account_id": "plain"}, sound | {"event_id": "€" * 85 + "yy"}]


def as_jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records()), encoding="utf-8")


def as_csv(path: Path) -> None:
    names = list(dict.fromkeys(name for record in records() for name in record))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(records())


def as_parquet(path: Path) -> None:
    names = list(dict.fromkeys(name for record in records() for name in record))
    pq.write_table(pa.table({name: pa.array([record.get(name) for record in records()]) for name in names}), path)


def write_references(folder: Path) -> None:
    tables = {
        "metrics": [["metric", "aggregation", "unit"], ["api", "sum", "request"]],
        "units": [["unit", "base_unit", "factor"], ["request", "request", "1"]],
        "skus": [["sku", "metric"], *[[text, "api"] for text in TEXTS]],
        "accounts": [["account_id", "currency_code"], *[[name, "USD"] for name in sorted(accounts())]],
    }
    for table, rows in tables.items():
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


def accounts() -> set[str]:
    return {record["account_id"] for record in records() if "account_id" in record}


@pytest.mark.parametrize(("write", "name"), [(as_jsonl, "odd.jsonl"), (as_csv, "odd.csv"), (as_parquet, "odd.parquet")])
def test_every_format_lands_odd_values_as_they_are(settings: Settings, tmp_path: Path, write, name):
    write(tmp_path / name)
    result = landing.land(settings, [tmp_path / name], NOW)
    assert result.reject_reasons == {"oversized_field": 2, "event_ts_out_of_range": 1}
    [part] = (settings.lake / "usage_events").rglob("*.parquet")
    rows = pq.ParquetFile(part).read().to_pylist()
    kept = [row for row in rows if row["sku"] is not None]
    for column in ("event_id", "account_id", "region", "sku"):
        assert [row[column] for row in kept] == TEXTS
    assert [json.loads(row["extra"])["note"] for row in kept] == TEXTS


def test_odd_values_reach_the_marts(settings: Settings, tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_references(folder)
    as_jsonl(folder / "odd 'name' \n.jsonl")
    result = landing.land(settings, [folder], NOW)
    assert result.refused_references == []
    warehouse.build(settings, NOW, test=False)
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        rows = connection.execute(
            "select account_id, region, sku, billing_date::varchar, quantity from usage.usage_daily"
        ).fetchall()
        broken = connection.execute("select * from operations.event_conservation where difference <> 0").fetchall()
    assert broken == []
    found = {account: (region, sku, day, quantity) for account, region, sku, day, quantity in rows}
    assert len(found) == len(rows) == result.accepted
    for text in TEXTS:
        assert found[text] == (text, text, "2026-09-15", Decimal(1))
    assert {text: found[f"t-{text}"][2] for text, day in TIMES.items() if day} == {t: d for t, d in TIMES.items() if d}
    assert {text: found[f"q-{text}"][3] for text in QUANTITIES} == {t: Decimal(q) for t, q in QUANTITIES.items()}

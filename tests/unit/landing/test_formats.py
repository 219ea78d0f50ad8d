"""Every format and compression gives the same rows; numbers keep their digits; an unreadable file stops no other."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from orchestration.errors import UsageWarehouseError
from orchestration.landing import exact_json
from tests.unit.landing.conftest import ABSENT, EVENT, event

EVENTS = [
    event(event_id=f"evt-{place}", quantity=quantity, dims={"b": 1, "a": "x"}, region=None, custom=f"c{place}")
    for place, quantity in enumerate(["0.000000001", "12345678901234567890123456789.123456789", "2.50", "7"])
]


def as_jsonl(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(e).encode() + b"\n" for e in events)


def as_csv(events: list[dict[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for e in events for name in e))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\r\n")
    writer.writeheader()
    for e in events:
        writer.writerow({name: json.dumps(value) if isinstance(value, dict) else value for name, value in e.items()})
    return text.getvalue().encode()


def as_parquet(events: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(events), sink)
    return sink.getvalue()


SHAPES = {
    "jsonl": as_jsonl(EVENTS),
    "csv": as_csv(EVENTS),
    "parquet": as_parquet(EVENTS),
}
SHAPES |= {f"{name}.gz": gzip.compress(SHAPES[name], mtime=0) for name in ("jsonl", "csv")}
SHAPES |= {f"{name}.zst": zstandard.compress(SHAPES[name]) for name in ("jsonl", "csv")}


@pytest.mark.parametrize("suffix", SHAPES)
def test_every_format_and_compression_gives_the_same_rows(land, tmp_path, suffix):
    dump = tmp_path / f"dump.{suffix}"
    dump.write_bytes(SHAPES[suffix])
    landed = land(dump)
    rows = landed.accepted
    assert [str(row["quantity"]) for row in rows] == [
        "1E-9",
        "12345678901234567890123456789.123456789",
        "2.500000000",
        "7.000000000",
    ]
    for place, row in enumerate(rows):
        assert row["event_id"] == f"evt-{place}"
        assert row["event_ts"] == datetime(2026, 9, 15, 10)
        assert row["dims"] == '{"a":"x","b":1}'
        assert row["extra"] == (f'{{"custom":"c{place}"}}')
        assert row["region"] is None
        assert row["sampling_rate"] is None
    numbers = [1, 2, 3, 4]
    assert [row["row_number"] for row in rows] == numbers
    [file] = landed.result.files
    assert (file.format, file.compression) == (suffix.split(".")[0], suffix.partition(".")[2] or None)


def test_numbers_keep_their_digits_wherever_they_stand(land_lines):
    body = json.dumps(EVENT)[:-1].replace('"quantity": 1', '"quantity": 0.123456789')
    lines = [
        body + ', "dims": {"quantity": 9.87, "x": 1.50, "y": 1e2}, "ratio": 0.10000000000000000001}',
        body + ', "note": "a \\"quoted\\" word", "dims": {"big": 123456789012345678901234567890}}',
        body.replace("quantity", "qu\\u0061ntity") + ', "dims": {"quantity": 5}}',
        body + ', "account_id": 1.50, "api_key": 12345678901234567890123}',
        body + ', "sampling_rate": 0.1}',
    ]
    rows = land_lines(*lines).accepted
    assert [row["quantity"] for row in rows] == [Decimal("0.123456789")] * 5
    assert rows[0]["dims"] == '{"quantity":9.87,"x":1.50,"y":1e2}'
    assert rows[0]["extra"] == '{"ratio":0.10000000000000000001}'
    assert rows[1]["dims"] == '{"big":123456789012345678901234567890}'
    assert rows[1]["extra"] == '{"note":"a \\"quoted\\" word"}'
    assert (rows[3]["account_id"], rows[3]["api_key"]) == ("1.50", "12345678901234567890123")
    assert rows[4]["sampling_rate"] == Decimal("0.1")


def test_the_vectorised_path_agrees_with_the_exact_parser(land_lines):
    """The same record, once simple and once with an escape that sends it to the exact parser."""
    simple = [
        event(
            dims={"b b": 1, "b": 2, "b!": 3, "": 4, "é": 5, "z": None, "t": True},
            other={"n": [1, {"k": "v"}]},
            plain=None,
        ),
        event(dims={"x": "{}", "y": "[a, b]", "z": "1,2:3"}, empty="", e="e", quantity="1e3"),
        event(dims=None, schema_version=2, sku="", region="", corrects="evt-0", correction="replace"),
        event(dims={}, timestamp="t", source=1, account=None, value=2.5),
    ]
    lines = [
        line
        for record in simple
        for line in (json.dumps(record, ensure_ascii=False), json.dumps(record)[:-1] + ', "\\u0041": 1}')
    ]
    rows = land_lines(*lines).accepted
    for fast, slow in zip(rows[::2], rows[1::2], strict=True):
        expected = exact_json.parse(slow["extra"])
        assert expected.pop("A") == "1"
        assert (fast["extra"] or "{}") == exact_json.dump(expected)
        assert {**fast, "extra": 0, "row_number": 0} == {**slow, "extra": 0, "row_number": 0}


def test_times_in_all_their_forms(land_lines):
    forms = {
        "2026-09-15T10:00:00Z": "10:00:00",
        "2026-09-15T10:00:00.123456789Z": "10:00:00.123456",
        "2026-09-15 15:30:00+05:30": "10:00:00",
        "2026-09-15T06:00:00.5-0400": "10:00:00.500000",
        "2026-09-15T22:00+12": "10:00:00",
        "20260915T100000.25Z": "10:00:00.250000",
        "20260915T1000-0000": "10:00:00",
        1789466400123: "10:00:00.123000",
        "1789466400123": "10:00:00.123000",
    }
    rows = land_lines(*[event(event_ts=form) for form in forms]).accepted
    assert [str(row["event_ts"]) for row in rows] == [f"2026-09-15 {time}" for time in forms.values()]


def test_a_leap_second_is_the_last_microsecond_of_its_day(land_lines):
    forms = ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.75Z", "2017-01-01T05:29:60+05:30"]
    rows = land_lines(*[event(event_ts=form) for form in forms]).accepted
    assert [row["event_ts"] for row in rows] == [datetime(2016, 12, 31, 23, 59, 59, 999999)] * 3


def test_an_unreadable_ingestion_time_is_kept_in_extra(land_lines):
    rows = land_lines(event(ingested_ts="yesterday", a=1), event(ingested_ts="2026-09-15T10:00:01Z")).accepted
    assert (rows[0]["ingested_ts"], rows[0]["extra"]) == (None, '{"a":1,"ingested_ts":"yesterday"}')
    assert rows[1]["ingested_ts"] == datetime(2026, 9, 15, 10, 0, 1)


def test_csv_rows_keep_their_bytes_and_their_numbers(land, tmp_path):
    header = "\ufeffevent_id,producer,event_ts,metric,quantity,unit,note\r\n"
    good = 'e{},p,2026-09-15T10:00:00Z,m,1,u,"two\r\nlines, ""quoted"""\r\n'
    bad = [
        'e,"p,2026-09-15T10:00:00Z,m,1,u,\r\n',
        "e,p\r\n",
        'e,p,2026-09-15T10:00:00Z,m,x,u,"a\nb"\r\n',
        "e,p,t,m,1,u,n,more\r\n",
    ]
    dump = tmp_path / "dump.csv"
    dump.write_bytes(
        (header + good.format(1) + "\r\n" + bad[0] + good.format(3) + "".join(bad[1:]) + good.format(7)).encode()
    )
    landed = land(dump)
    assert [(row["row_number"], row["event_id"]) for row in landed.accepted] == [(1, "e1"), (3, "e3"), (7, "e7")]
    assert landed.accepted[0]["extra"] == '{"note":"two\\r\\nlines, \\"quoted\\""}'
    assert [row["record"].decode() for row in landed.rejected] == [line.removesuffix("\r\n") for line in bad]
    assert [row["reasons"] for row in landed.rejected] == [
        ["malformed_record"],
        ["malformed_record"],
        ["invalid_quantity"],
        ["malformed_record"],
    ]


def test_parquet_types_are_taken_without_loss(land, tmp_path):
    instant = datetime(2026, 9, 15, 10, 0, 0, 123456)
    fields = {
        "event_id": pa.array([1, 2, 3], pa.int64()),
        "producer": pa.array(["p", "p", "p"]).dictionary_encode(),
        "event_ts": pa.array([instant] * 3, pa.timestamp("us")),
        "ingested_ts": pa.array([instant.replace(tzinfo=UTC)] * 3, pa.timestamp("us", "Asia/Kolkata")),
        "metric": pa.array(["m"] * 3, pa.large_string()),
        "quantity": pa.array([0.1, 1e15, float("nan")], pa.float64()),
        "unit": pa.array(["u"] * 3),
        "sampling_rate": pa.array([Decimal("0.000000001"), None, None], pa.decimal128(38, 9)),
        "schema_version": pa.array([2.0, None, 2.0]),
        "dims": pa.array([{"b": 1, "a": None, "d": Decimal("1.10")}, None, None]),
        "tags": pa.array([[("k", 1.5)], [], None], pa.map_(pa.string(), pa.float64())),
        "flag": pa.array([True, None, False]),
    }
    pq.write_table(pa.table(fields), tmp_path / "dump.parquet")
    landed = land(tmp_path / "dump.parquet")
    first, second = landed.accepted
    assert (first["event_id"], first["event_ts"], first["ingested_ts"]) == ("1", instant, instant)
    assert (first["quantity"], second["quantity"]) == (Decimal("0.1"), Decimal(10**15))
    assert first["sampling_rate"] == Decimal("1E-9")
    assert (first["dims"], first["extra"]) == ('{"b":1,"d":1.10}', '{"flag":true,"tags":{"k":1.5}}')
    assert second["extra"] == '{"tags":{}}'
    [bad] = landed.rejected
    assert (bad["row_number"], bad["reasons"]) == (3, ["invalid_quantity"])
    assert json.loads(bad["record"])["event_id"] == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", gzip.compress(SHAPES["jsonl"] * 50)[:-9]),
        ("a.jsonl.gz", b""),
        ("a.jsonl.zst", zstandard.compress(SHAPES["jsonl"] * 50)[:-3]),
        ("a.csv.zst", b"no zstandard at all"),
        ("a.parquet", SHAPES["parquet"][:-20]),
        ("a.parquet", b"PAR1"),
        ("a.csv", b""),
        ("a.csv", b"event_id,event_id\n1,2\n"),
        ("a.csv", b"event_id,,x\n1,2,3\n"),
    ],
)
def test_an_unreadable_file_is_listed_and_stops_no_other(land, tmp_path, name, content):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_bytes(content)
    (folder / "b.jsonl").write_bytes(SHAPES["jsonl"])
    landed = land(folder)
    broken, sound = landed.result.files
    assert (broken.status, broken.records, sound.status, sound.accepted) == ("rejected", 0, "landed", 4)
    assert broken.reason
    assert {row["file_order"] for row in landed.accepted} == {2}
    assert landed.result.rejected_files == [broken]
    assert land(folder).result.batch_id is None


def test_a_large_file_that_breaks_off_leaves_nothing_in_the_lake(land, tmp_path, monkeypatch):
    monkeypatch.setattr("orchestration.landing.lake.HELD_BYTES", 1000)
    folder = tmp_path / "in"
    folder.mkdir()
    many = as_jsonl([event(event_id=f"e{n}") for n in range(60_000)])
    (folder / "a.jsonl").write_bytes(SHAPES["jsonl"])
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(many)[:-9])
    (folder / "c.jsonl").write_bytes(many)
    (folder / "d.jsonl").write_bytes(as_jsonl([event(event_id="last")]))
    landed = land(folder)
    assert [(file.status, file.accepted) for file in landed.result.files] == [
        ("landed", 4),
        ("rejected", 0),
        ("landed", 60_000),
        ("landed", 1),
    ]
    rows = landed.accepted
    assert [(row["file_order"], row["row_number"]) for row in rows] == sorted(
        (row["file_order"], row["row_number"]) for row in rows
    )
    assert len(rows) == 60_005


def test_names_decide_what_is_taken(land, tmp_path):
    folder = tmp_path / "in"
    (folder / "deep/.hidden").mkdir(parents=True)
    for name in (
        "deep/A.JSONL",
        "deep/.x.jsonl",
        "deep/.hidden/y.jsonl",
        "readme.txt",
        "b.jsonl.tmp",
        "c.parquet.gz",
        "metrics.csv.gz",
    ):
        (folder / name).write_bytes(SHAPES["jsonl"])
    result = land(folder).result
    assert [file.file_name for file in result.files] == ["deep/A.JSONL"]
    assert [ignored.file_name for ignored in result.ignored] == [
        "b.jsonl.tmp",
        "c.parquet.gz",
        "metrics.csv.gz",
        "readme.txt",
    ]
    for name in ("readme.txt", "missing.jsonl", "c.parquet.gz"):
        with pytest.raises(UsageWarehouseError):
            land(folder / name)


def test_version_1_names_mean_version_2_fields(land_lines):
    v1 = {"event_id": "e", "timestamp": "2026-09-15T10:00:00Z", "source": "s", "account": "a", "value": 2.5} | {
        "api_key": "k",
        "region": "r",
        "metric": "m",
        "unit": "u",
    }
    rows = land_lines(
        v1 | {"schema_version": 1},
        v1 | {"account_id": "mine", "memory": 128},
        event(source="x", timestamp={"a": 1}),
        v1 | {"schema_version": "1", "sampling_rate": 0.5, "dims": {"a": 1}},
    ).accepted
    for place in (0, 1, 3):
        row = rows[place]
        assert (row["schema_version"], row["producer"], row["account_id"], row["quantity"]) == (
            1,
            "s",
            "a",
            Decimal("2.5"),
        )
    assert rows[0]["extra"] is None
    assert rows[1]["extra"] == '{"account_id":"mine","memory":128}'
    assert (rows[2]["schema_version"], rows[2]["extra"]) == (2, '{"source":"x","timestamp":{"a":1}}')
    assert (rows[3]["sampling_rate"], rows[3]["dims"]) == (Decimal("0.5"), '{"a":1}')


def test_a_version_is_taken_at_its_word(land_lines):
    landed = land_lines(event(schema_version=1), event(schema_version=2, source="x", producer=ABSENT))
    assert [row["reasons"] for row in landed.rejected] == [
        ["missing_event_ts", "missing_producer", "missing_quantity"],
        ["missing_producer"],
    ]


def test_both_versions_in_one_csv(land, tmp_path):
    dump = Path(tmp_path / "dump.csv")
    dump.write_text(
        "schema_version,event_id,event_ts,timestamp,producer,source,quantity,value,metric,unit,account_id,account\n"
        "2,e1,2026-09-15T10:00:00Z,,p,,1,,m,u,a,\n"
        "1,e2,,2026-09-15T10:00:00Z,,s,,2,m,u,,b\n"
        "2,e3,2026-09-15T10:00:00Z,,p,x,1,,m,u,a,\n"
    )
    rows = land(dump).accepted
    assert [(row["producer"], row["account_id"], int(row["quantity"]), row["extra"]) for row in rows] == [
        ("p", "a", 1, None),
        ("s", "b", 2, None),
        ("p", "a", 1, '{"source":"x"}'),
    ]

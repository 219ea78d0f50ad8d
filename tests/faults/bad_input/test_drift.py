"""Files whose schema drifts, landed side by side: each record comes to the same figure, or is rejected for its own reason."""

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestration import landing
from tests.faults.bad_input import corpus
from tests.faults.bad_input.test_corpus import LANDED_AT

AT = "2026-09-15T10:00:00Z"
INSTANT = datetime(2026, 9, 15, 10, tzinfo=UTC)
MILLISECONDS = 1_789_466_400_000  # the same instant
EVENT = {"producer": "p", "event_ts": AT, "metric": "api_requests", "quantity": "2.5", "unit": "request"}
OLD = {"source": "p", "timestamp": AT, "metric": "api_requests", "value": "2.5", "unit": "request", "schema_version": 1}

# Every line of one dump is of another shape: accepted ones, and what the others are rejected for.
SHAPES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (EVENT, ()),
    (dict(reversed(EVENT.items())), ()),
    (EVENT | {"quantity": 2.5}, ()),
    (EVENT | {"event_ts": MILLISECONDS}, ()),
    (EVENT | {"event_ts": str(MILLISECONDS)}, ()),
    (EVENT | {"schema_version": 2, "sku": None, "region": "", "dims": None}, ()),
    (EVENT | {"schema_version": "2", "dims": {"a": [1, {"b": None}]}}, ()),
    (EVENT | {"new_field": {"deep": [[], {}]}, "другое": 1, "": "empty"}, ()),
    (OLD, ()),
    (OLD | {"schema_version": "1", "account": "a"}, ()),
    (OLD | {"schema_version": 2}, ("missing_event_ts", "missing_producer", "missing_quantity")),
    (EVENT | {"schema_version": 3}, ("unsupported_schema_version",)),
    (EVENT | {"quantity": True}, ("invalid_quantity",)),
    (EVENT | {"quantity": None}, ("missing_quantity",)),
    (EVENT | {"quantity": [2.5]}, ("invalid_quantity",)),
    (EVENT | {"unit": {"a": 1}}, ("malformed_record",)),
    (EVENT | {"event_ts": {"at": AT}}, ("invalid_event_ts",)),
    ({}, tuple(f"missing_{name}" for name in ("event_id", "event_ts", "metric", "producer", "quantity", "unit"))),
]


def numbered(shapes: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [{"event_id": f"{name}-{number}", **shape} if shape else shape for number, shape in enumerate(shapes)]


def test_every_line_of_another_shape(settings, tmp_path):
    lines = numbered([shape for shape, _ in SHAPES], "line")
    (tmp_path / "shapes.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    landing.land(settings, [tmp_path / "shapes.jsonl"], LANDED_AT)
    rejected = {row["row_number"]: tuple(row["reasons"]) for row in rows(settings, "rejected_events")}
    assert rejected == {number: reasons for number, (_, reasons) in enumerate(SHAPES, 1) if reasons}
    accepted = rows(settings, "usage_events")
    assert [row["row_number"] for row in accepted] == [n for n, (_, reasons) in enumerate(SHAPES, 1) if not reasons]
    assert {figure(row) for row in accepted} == {("p", INSTANT.replace(tzinfo=None), Decimal("2.5"), "request")}


def csv_file(records: list[dict[str, Any]], columns: list[str], **dialect: Any) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, columns, restval="", extrasaction="ignore", **dialect)
    writer.writeheader()
    writer.writerows(records)
    return target.getvalue().encode()


def parquet_file(name: str, **columns: pa.Array) -> bytes:
    texts = {field: pa.array([value]) for field, value in EVENT.items()}
    return corpus.parquet(pa.table({"event_id": pa.array([name])} | texts | columns))


def drifted() -> dict[str, bytes]:
    """One record per file, all the same event but for its id, as its producer's format changed over the years."""
    plain = list(EVENT)
    files = {
        "day-1.csv": csv_file(numbered([EVENT], "c1"), ["event_id", *plain]),
        "day-2.csv": csv_file(numbered([EVENT], "c2"), [*reversed(plain), "event_id"]),
        "day-3.csv": csv_file(numbered([EVENT | {"team": "x"}], "c3"), ["event_id", *plain, "team", "sku"]),
        "day-4.csv": b"\xef\xbb\xbf" + csv_file(numbered([EVENT], "c4"), ["event_id", *plain], quoting=csv.QUOTE_ALL),
        "day-5.csv": csv_file(numbered([OLD], "c5"), ["event_id", *OLD], lineterminator="\n"),
        "day-6.jsonl": json.dumps(numbered([OLD], "j6")[0]).encode(),
        "day-7.jsonl": b"\xef\xbb\xbf" + json.dumps(numbered([EVENT], "j7")[0]).encode() + b"\r\n",
    }
    changes: dict[str, dict[str, pa.Array]] = {
        "double": {"quantity": pa.array([2.5])},
        "decimal": {"quantity": pa.array([Decimal("2.500")], pa.decimal128(20, 3))},
        "dictionary": {"unit": pa.array(["request"]).dictionary_encode(), "metric": pa.array(["api_requests"], pa.large_string())},
        "seconds": {"event_ts": pa.array([INSTANT], pa.timestamp("s", "UTC"))},
        "nanoseconds": {"event_ts": pa.array([INSTANT], pa.timestamp("ns", "Asia/Kolkata"))},
        "numbers": {"event_ts": pa.array([MILLISECONDS], pa.int64()), "schema_version": pa.array([2], pa.int8())},
        "bytes": {name: pa.array([value.encode()], pa.binary()) for name, value in EVENT.items()},
        "struct": {"dims": pa.array([{"a": [1, 2], "b": None}])},
        "map": {"dims": pa.array([[("a", "1")]], pa.map_(pa.string(), pa.string()))},
        "nulls": {"sku": pa.nulls(1), "region": pa.nulls(1, pa.int32()), "dims": pa.nulls(1, pa.struct([("a", pa.int8())]))},
    }  # fmt: skip
    return files | {f"{name}.parquet": parquet_file(name, **columns) for name, columns in changes.items()}


def test_a_schema_that_drifts_from_file_to_file(settings, tmp_path):
    files = drifted()
    (tmp_path / "in").mkdir()
    for name, content in files.items():
        (tmp_path / "in" / name).write_bytes(content)
    result = landing.land(settings, [tmp_path / "in"], LANDED_AT)
    outcomes = {file.file_name: (file.status, file.accepted, file.rejected) for file in result.files}
    assert outcomes == dict.fromkeys(files, ("landed", 1, 0))
    assert {figure(row) for row in rows(settings, "usage_events")} == {
        ("p", INSTANT.replace(tzinfo=None), Decimal("2.5"), "request")
    }


def test_a_parquet_footer_that_lies_loses_no_row(settings, tmp_path):
    """Each fifth byte of a footer changed: the file is rejected, or all its rows are accepted or rejected."""
    whole = corpus.parquet(use_dictionary=False, compression="none", row_group_size=7)
    length = int.from_bytes(whole[-8:-4], "little")
    (tmp_path / "in").mkdir()
    for place in range(len(whole) - 8 - length, len(whole) - 4, 5):
        for bit in (1, 2):
            lying = bytearray(whole)
            lying[place] ^= bit
            (tmp_path / "in" / f"{place}-{bit}.parquet").write_bytes(lying)
    result = landing.land(settings, [tmp_path / "in"], LANDED_AT)
    counted = Counter((file.status, file.records) for file in result.files)
    assert set(counted) == {("landed", corpus.EVENTS), ("rejected", 0)} and min(counted.values()) > 50


def figure(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["producer"], row["event_ts"], row["quantity"], row["unit"]


def rows(settings, kind: str) -> list[dict[str, Any]]:
    parts = sorted((settings.lake / kind).rglob("*.parquet"))
    return [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]

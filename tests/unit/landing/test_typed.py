"""The short way of typed dumps decides every row as the full way does: the same lake, the same rejected records, the same counts."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from orchestration.landing import typed
from orchestration.landing.engine import open_engine
from orchestration.landing.processing import Bench, Processed
from orchestration.landing.readers.parquet import Batch

LANDED_AT = datetime(2026, 9, 2)
REFUSED = pa.array(["requests"], pa.string())
US = pa.timestamp("us", "UTC")
ORDINARY = {
    "schema_version": 2,
    "event_id": "e-1",
    "producer": "gateway",
    "event_ts": datetime(2026, 9, 1, 12, 0, 0, 123456),
    "ingested_ts": datetime(2026, 9, 1, 12, 0, 5),
    "metric": "requests",
    "quantity": Decimal("12.500000001"),
    "unit": "request",
    "sku": "api",
    "account_id": "acme",
    "api_key": "key-1",
    "namespace": "team",
    "resource_id": "res-1",
    "region": "eu-west",
    "sampling_rate": Decimal("0.25"),
    "corrects": "e-0",
    "correction": "retract",
}
TYPES = {
    "schema_version": pa.int32(),
    "event_ts": US,
    "ingested_ts": US,
    "quantity": pa.decimal128(38, 9),
    "sampling_rate": pa.decimal128(18, 9),
}
# Values at and beyond each limit, by column.
ODD: dict[str, list[Any]] = {
    "schema_version": [None, 1, 2, 3],
    "event_id": [None, "", "x" * 256, "x" * 257, "ü" * 128, "ü" * 129, "ann@example.org", "a%40b.org", " "],
    "producer": [None, "", "x" * 4096, "x" * 4097, "ann@example.org"],
    "event_ts": [
        None,
        datetime(1999, 12, 31, 23, 59, 59, 999999),
        datetime(2000, 1, 1),
        datetime(2026, 9, 2, 12, 0, 5),
        datetime(2026, 9, 2, 12, 0, 5, 1),
        datetime(9999, 12, 31),
    ],
    "ingested_ts": [None, datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(9999, 12, 29), datetime(1970, 1, 1)],
    "metric": [None, "", "levels", "x" * 4097],
    "quantity": [None, Decimal(0), Decimal("-0.000000001"), Decimal(10) ** 28, -(Decimal(10) ** 28)],
    "unit": [None, "", "x" * 4097],
    **{name: [None, "", "x" * 4096, "x" * 4097, "ü" * 2049] for name in ("sku", "account_id", "api_key", "namespace", "resource_id")},
    "region": [None, "", "a@b.example", "x" * 4097],
    "sampling_rate": [None, Decimal(0), Decimal(1), Decimal("1.000000001"), Decimal("-0.1"), Decimal("0.000000001")],
    "corrects": [None, "", "ann@example.org"],
    "correction": [None, "", "undo", "x" * 4097],
}  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_engine("500MB", str(tmp_path)) as engine:
        engine.execute("create table negative_refused as select 'requests' as metric")
        yield Bench(engine, 1, LANDED_AT, b"k" * 32, REFUSED)


def batch(rows: list[dict[str, Any]], types: dict[str, pa.DataType] = TYPES) -> Batch:
    columns = {name: pa.array([row.get(name) for row in rows], types.get(name, pa.string())) for name in {**rows[0]}}
    return Batch(pa.array(range(7, 7 + len(rows)), pa.int64()), pa.RecordBatch.from_pydict(columns))


def both(bench: Bench, piece: Batch) -> tuple[Processed, Processed]:
    return bench._process("parquet", 3, piece), bench._process_fully("parquet", 3, piece)


def assert_alike(bench: Bench, piece: Batch) -> None:
    short, full = both(bench, piece)
    assert short.accepted.to_pylist() == full.accepted.to_pylist()
    assert short.rejected.to_pylist() == full.rejected.to_pylist()
    assert short.detections == full.detections


def ordinary_rows(piece: Batch) -> int:
    split = typed.split(piece.rows, piece.numbers, 3, LANDED_AT, REFUSED)
    return split.accepted.num_rows if split else 0


def test_ordinary_rows_go_the_short_way_and_come_out_the_same(bench: Bench) -> None:
    piece = batch([ORDINARY, ORDINARY | {"event_id": "e-2", "sku": ""}])
    assert ordinary_rows(piece) == 2
    assert_alike(bench, piece)


@pytest.mark.parametrize("column", sorted(ODD))
def test_each_limit_is_judged_alike(bench: Bench, column: str) -> None:
    """Each odd value beside ordinary rows, alone and with another metric."""
    rows = [ORDINARY]
    for value in ODD[column]:
        rows += [ORDINARY | {column: value}, ORDINARY | {column: value, "ingested_ts": None}]
        rows += [ORDINARY | {"metric": "levels", column: value}]
    piece = batch(rows)
    assert 0 < ordinary_rows(piece) < len(rows)
    assert_alike(bench, piece)


def test_any_mixture_is_judged_alike(bench: Bench) -> None:
    dice = random.Random(11)
    rows = []
    for _ in range(600):
        changed = dice.sample(sorted(ODD), dice.choice((0, 0, 1, 1, 2, 4)))
        rows.append(ORDINARY | {column: dice.choice(ODD[column]) for column in changed})
    piece = batch(rows)
    assert 100 < ordinary_rows(piece) < 600
    assert_alike(bench, piece)


def test_rows_with_dims_go_the_full_way_the_others_do_not(bench: Bench) -> None:
    piece = batch([ORDINARY | {"dims": None}, ORDINARY | {"dims": '{"b": 1, "a": "ann@example.org"}'}])
    assert ordinary_rows(piece) == 1
    assert_alike(bench, piece)


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("quantity", pa.int64(), -5),
        ("quantity", pa.decimal128(20, 0), Decimal(7)),
        ("quantity", pa.decimal128(38, 12), Decimal("0.000000000001")),
        ("quantity", pa.decimal128(38, 12), Decimal("0.000000001")),
        ("quantity", pa.decimal128(38, 0), Decimal(10) ** 37),
        ("quantity", pa.float64(), 0.1),
        ("quantity", pa.string(), "1e3"),
        ("event_ts", pa.timestamp("us"), datetime(2026, 9, 1, 12)),
        ("event_ts", pa.timestamp("ns", "Europe/Berlin"), datetime(2026, 9, 1, 12)),
        ("event_ts", pa.timestamp("s"), datetime(2026, 9, 1, 12)),
        ("event_ts", pa.int64(), 1_788_000_000_000),
        ("event_ts", pa.date32(), datetime(2026, 9, 1).date()),
        ("event_id", pa.int64(), 12),
        ("sku", pa.dictionary(pa.int8(), pa.string()), "api"),
        ("sku", pa.large_string(), "api"),
        ("schema_version", pa.string(), "2.0"),
        ("unknown", pa.string(), "kept"),
        ("timestamp", pa.string(), "2026-09-01T00:00:00Z"),
    ],
)
def test_columns_of_other_types_are_judged_alike(bench: Bench, column: str, kind: pa.DataType, value: Any) -> None:
    assert_alike(bench, batch([ORDINARY | {column: value}, ORDINARY | {column: None}], TYPES | {column: kind}))


def test_times_before_1970_lose_their_nanoseconds_alike(bench: Bench) -> None:
    known = pa.array([-1, 999, -1001, 1_788_000_000_000_000_001], pa.int64()).cast(pa.timestamp("ns", "UTC"))
    piece = batch([ORDINARY] * 4)
    place = piece.rows.schema.get_field_index("ingested_ts")
    assert_alike(bench, piece._replace(rows=piece.rows.set_column(place, "ingested_ts", known)))


def test_a_batch_of_the_wrong_bytes_is_judged_alike(bench: Bench) -> None:
    """Bytes that are no UTF-8 under a text column: whatever the full way makes of them."""
    piece = batch([ORDINARY, ORDINARY])
    wrong = pa.Array.from_buffers(pa.string(), 2, pa.array([b"ok", b"\xff\xfe"], pa.binary()).buffers())
    piece = piece._replace(rows=piece.rows.set_column(piece.rows.schema.get_field_index("sku"), "sku", wrong))
    assert ordinary_rows(piece) == 0


def test_the_latest_time_is_a_day_after_the_landing_where_nobody_says_when_it_was_ingested(bench: Bench) -> None:
    late = LANDED_AT + timedelta(hours=24)
    rows = [{**ORDINARY, "ingested_ts": None, "event_ts": ts} for ts in (late, late + timedelta(microseconds=1))]
    piece = batch(rows)
    assert ordinary_rows(piece) == 1
    assert_alike(bench, piece)

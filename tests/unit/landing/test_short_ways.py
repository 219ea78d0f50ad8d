"""The short ways of JSONL and CSV decide every record as the full way does, and ordinary records do take them.

A short way that reads one number, one time or one line otherwise than the full way would change bills by the shape of a dump.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestration.landing import fields, typed
from orchestration.landing.engine import open_engine
from orchestration.landing.processing import Bench
from orchestration.landing.readers import READERS, csv_rows, lines, source

LANDED_AT = datetime(2026, 9, 2)
REFUSED = pa.array(["requests"], pa.string())
ORDINARY = {
    "event_id": "e-1",
    "producer": "gateway",
    "event_ts": "2026-09-01T12:00:00.123456Z",
    "ingested_ts": "2026-09-01T12:00:05Z",
    "metric": "levels",
    "quantity": "12.500000001",
    "unit": "request",
    "sku": "api",
    "account_id": "acme",
    "region": "eu-west",
    "sampling_rate": "0.25",
    "corrects": "e-0",
}
NUMBERS = (
    "0", "-0", "-1", "007", "-00.50", "+5", " 5", "5 ", "1.", ".5", ".", "-", "", "1e3", "1E+3", "1e-9", "1e-10",
    "5e-1", "0.5e0", "1_000", "1,5", "0x10",
    "1e0x10", "1E0X1", "1e+0x1", "1e+-1", "1e+-0x1", "1e--1", "1e++1", "1e", "e1", "1e 1", "inf", "-inf", "nan",
    "NaN", "Infinity", "1d", "1f", "1L", "٣",
    "0.1234567890", "0.1234567891", "1.000000000", "1.0000000000", "1.000000001", "0.000000001", "0.0000000001",
    "9" * 29, "9" * 30, "1" + "0" * 29, "12345678901234567890123456789.123456789", "123456789012345678901234567890.5",
    "1e28", "1e29", "9.99e29", "1e30", "1e38",
    "1e39", "1e308", "1e309", "0e400", "1e-400", "1e2147483648", "-" + "9" * 29 + "." + "9" * 9, "0" * 50 + "1",
    "1" + "0" * 400, "0." + "0" * 60, "true", "null",
)  # fmt: skip
TIMES = (
    "", "2026-09-01", "2026-09-01T00", "2026-09-01T00Z", "2026-09-01T00+02", "2026-09-01T00+0200",
    "2026-09-01T00+02:00", "2026-09-01T00:00Z", "2026-09-01T00:00",
    "2026-09-01T00:00+02", "2026-09-01T00:00+02:00", "2026-09-01T00:00:00", "2026-09-01 00:00:00Z",
    "2026-09-01 00:00:00+02", "2026-09-01T00:00:00+0200",
    "2026-09-01T00:00:00-02:30", "2026-09-01T00:00:00.5-23:59", "2026-09-01T00:00:00+24:00", "2026-09-01T00:00:00+23:60", "2026-09-01T00:00:00-00:00",
    "2026-09-01T00:00:00.1Z", "2026-09-01T00:00:00.123456Z", "2026-09-01T00:00:00.1234567Z",
    "2026-09-01T00:00:00.123456789Z", "2026-09-01T00:00:00.Z",
    "2026-09-01T00:00:00,5Z", "2026-09-01t00:00:00z", "2026-09-01T00:00:00z", "2026-09-01T24:00:00Z", "2026-09-01T23:59:60Z", "2016-12-31T23:59:60Z",
    "2026-09-01T23:60:00Z", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999-23:59", "9999-12-30T00:00:00Z",
    "1999-12-31T23:59:59.999999Z", "2000-01-01T00:00:00Z", "2000-01-01T00:00:00+00:01", "2026-09-02T12:00:05Z",
    "2026-09-02T12:00:05.000001Z", "20260901T000000Z",
    "20260901T000000.000000Z", "1788220800000", "-1", " 2026-09-01T00:00:00Z", "2026-09-01T00:00:00Z ",
    "2026-09-01T00:00:00 Z", "2026-09-01T00:00:00UTC",
    "2026-09-01T00:00:00ZZ", "2026-09-01T00:00:00+02:00Z", "2026-9-1T00:00:00.0000Z", "+2026-09-01T00:00:00Z",
    "12026-09-01T00:00:00Z", "yesterday, at noon exactly",
)  # fmt: skip
TEXTS = (
    "", " ", "x" * 256, "x" * 257, "x" * 4096, "x" * 4097, "ü" * 2049, "ann@example.org", "a%40b.example",
    "ann＠example.org", "null", "NULL", "NaN", "true", "1", "1.0",
    "10.1.2.3", "+49 170 1234567", "4111 1111 1111 1111", "a\tb", "a\x00b", "a\x7fb", "\u2028", "\u00a0", "\ufeff",
    "😀", "'", "it's", "{", "}", "[", "a;b", "a|b", "#", "\\",
)  # fmt: skip
VERSIONS = ("2", "1", "3", "2.0", "02", " 2", "+2", "-2", "2e0", "65538", "", "two", "0x2")
ODD_CELLS = {
    **dict.fromkeys(("quantity", "sampling_rate"), NUMBERS),
    **dict.fromkeys(("event_ts", "ingested_ts"), TIMES),
    **dict.fromkeys(("event_id", "producer", "metric", "unit", "sku", "account_id", "region", "corrects", "correction"), TEXTS),
    "schema_version": VERSIONS,
    "dims": ("", "{}", "{a}", "x", "null"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with open_engine("500MB", str(tmp_path_factory.mktemp("spill"))) as engine:
        engine.execute("create table negative_refused as select 'requests' as metric")
        yield Bench(engine, 1, LANDED_AT, b"k" * 32, REFUSED)


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dumps") / "dump"


@pytest.fixture
def finely(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Halved down to single records, so that each record which can takes the short way; small blocks, short runs."""
    monkeypatch.setattr(lines, "LEAST", 2)
    monkeypatch.setattr(csv_rows, "LEAST", 2)
    monkeypatch.setattr(csv_rows, "LEAST_RUN_BYTES", 1)
    monkeypatch.setattr(source, "BLOCK_BYTES", 40_000)
    return monkeypatch


def landed(bench: Bench, dump: Path, form: str, short: bool) -> dict[str, Any]:
    """All that comes out of the dump, by the short way where it may be taken, or by the full way alone."""
    process, found = bench._process if short else bench._process_fully, {"accepted": [], "rejected": []}
    detections: Counter[str] = Counter()
    try:
        for piece in READERS[form].pieces(dump, None, 1 << 40):
            done = process(form, 3, piece)
            found["accepted"] += done.accepted.to_pylist()
            found["rejected"] += done.rejected.to_pylist()
            detections += done.detections
    except source.Unreadable as error:
        found["unreadable"] = str(error)
    return found | {"detections": detections}


def ordinary(dump: Path, form: str) -> int:
    """How many records go the short way."""
    pieces = READERS[form].pieces(dump, None, 1 << 40)
    return sum(typed.sort_out(piece, 3, LANDED_AT, REFUSED).accepted.num_rows for piece in pieces)


def assert_alike(bench: Bench, dump: Path, form: str, content: bytes) -> dict[str, Any]:
    dump.write_bytes(content)
    short, full = (landed(bench, dump, form, way) for way in (True, False))
    for kind in ("accepted", "rejected"):
        for mine, theirs in zip(short[kind], full[kind], strict=True):
            assert mine == theirs
    assert short["detections"] == full["detections"]
    assert short.get("unreadable") == full.get("unreadable")
    return short


def line(changes: dict[str, Any], tokens: dict[str, str] | None = None) -> bytes:
    """An ordinary object with some members changed; `tokens` are JSON as it stands."""
    members = {name: json.dumps(value, ensure_ascii=False) for name, value in (ORDINARY | changes).items()}
    return ("{" + ",".join(f'"{name}":{token}' for name, token in (members | (tokens or {})).items()) + "}").encode()


def row(changes: dict[str, str], names: tuple[str, ...]) -> bytes:
    return ",".join((ORDINARY | changes).get(name, "") for name in names).encode()


def csv_dump(rows: list[bytes], names: tuple[str, ...] = tuple(ORDINARY), feed: bytes = b"\n") -> bytes:
    return feed.join([",".join(names).encode(), *rows, b""])


# ---- what is ordinary takes the short way


def test_ordinary_objects_are_told_by_columns(bench: Bench, dump: Path) -> None:
    many = [
        line({"event_id": f"e-{n}"}, {"quantity": f"{n}.5", "schema_version": "2", "dims": "null"}) for n in range(3000)
    ]
    found = assert_alike(bench, dump, "jsonl", b"\r\n".join(many))
    assert ordinary(dump, "jsonl") == 3000
    assert [record["row_number"] for record in found["accepted"]] == list(range(1, 3001))


def test_ordinary_rows_are_told_by_columns(bench: Bench, dump: Path) -> None:
    many = [
        row({"event_id": f"e-{n}", "region": "", "schema_version": "2"}, (*ORDINARY, "schema_version"))
        for n in range(3000)
    ]
    for feed in (b"\n", b"\r\n"):
        found = assert_alike(bench, dump, "csv", csv_dump(many, (*ORDINARY, "schema_version"), feed))
        assert ordinary(dump, "csv") == 3000
        assert [record["row_number"] for record in found["accepted"]] == list(range(1, 3001))


@pytest.mark.parametrize(
    "odd",
    [
        line({}, {"dims": '{"a": "ann@example.org"}'}),
        line({"sku": 'a "quoted" word'}),
        line({}, {"event_ts": "1788220800000"}),
        line({"quantity": "1e29"}),
        line({"unknown": "kept"}),
        b"no JSON",
        b"",
        b"\xff",
        b'{"event_id":"' + b"x" * (fields.RECORD_LIMIT_BYTES + 1) + b'"}',
        line({}) + b" " * fields.RECORD_LIMIT_BYTES,
    ],
)
def test_an_odd_line_costs_its_neighbours_only(bench: Bench, dump: Path, odd: bytes) -> None:
    many = [line({"event_id": f"e-{n}"}) for n in range(6000)]
    assert_alike(bench, dump, "jsonl", b"\n".join([*many[:4100], odd, *many[4100:]]))
    assert 6000 - lines.LEAST <= ordinary(dump, "jsonl") <= 6000


@pytest.mark.parametrize(
    "odd",
    [
        b"too,few",
        row({"sku": '"quoted"'}, tuple(ORDINARY)),
        row({"sku": '"two\nlines, quoted"'}, tuple(ORDINARY)),
        row({"sku": '"never closed'}, tuple(ORDINARY)),
        row({"sku": "re\rturn"}, tuple(ORDINARY)),
        row({"quantity": "1e3"}, tuple(ORDINARY)),
        row({"event_ts": "2026-02-30T00:00:00Z"}, tuple(ORDINARY)),
        b"",
        b" ",
        "\u00a0".encode(),
        b"\xff",
        b"x" * (fields.RECORD_LIMIT_BYTES + 1),
    ],
)
def test_an_odd_row_costs_its_neighbours_only(bench: Bench, dump: Path, odd: bytes) -> None:
    many = [row({"event_id": f"e-{n}"}, tuple(ORDINARY)) for n in range(6000)]
    assert_alike(bench, dump, "csv", csv_dump([*many[:4100], odd, *many[4100:]]))
    assert ordinary(dump, "csv") >= 6000 - lines.LEAST


def test_objects_with_dims_leave_the_lines_between_them_alone(bench: Bench, dump: Path) -> None:
    dims = line({}, {"dims": '{"a": "ann@example.org"}'})
    many = [dims if n % 10 == 0 else line({"event_id": f"e-{n}"}) for n in range(3000)]
    found = assert_alike(bench, dump, "jsonl", b"\n".join(many))
    assert ordinary(dump, "jsonl") == 2700
    assert [record["row_number"] for record in found["accepted"]] == list(range(1, 3001))


# ---- each odd value


@pytest.mark.parametrize("name", sorted(ODD_CELLS))
def test_each_odd_text_in_an_object_is_judged_alike(
    bench: Bench, dump: Path, finely: pytest.MonkeyPatch, name: str
) -> None:
    many = [line({}), line({"metric": "requests"})]
    for value in ODD_CELLS[name]:
        many += [line({name: value}), line({name: value, "metric": "requests", "ingested_ts": None})]
    assert_alike(bench, dump, "jsonl", b"\n".join(many))
    assert 2 <= ordinary(dump, "jsonl") < len(many)


@pytest.mark.parametrize("name", sorted(ODD_CELLS))
def test_each_odd_token_in_an_object_is_judged_alike(
    bench: Bench, dump: Path, finely: pytest.MonkeyPatch, name: str
) -> None:
    tokens = (*NUMBERS, *VERSIONS, "[]", "[1]", "{}", "{", '"', "", "1 2", '"a""b"', '"a":1')
    assert_alike(bench, dump, "jsonl", b"\n".join([line({}), *(line({}, {name: token}) for token in tokens)]))


@pytest.mark.parametrize("name", sorted(ODD_CELLS))
def test_each_odd_cell_is_judged_alike(bench: Bench, dump: Path, finely: pytest.MonkeyPatch, name: str) -> None:
    names = tuple(dict.fromkeys((*ORDINARY, name)))
    many = [row({}, names), row({"metric": "requests"}, names)]
    for value in ODD_CELLS[name]:
        many += [row({name: value}, names), row({name: value, "metric": "requests", "ingested_ts": ""}, names)]
    assert_alike(bench, dump, "csv", csv_dump(many, names))
    assert 2 <= ordinary(dump, "csv") < len(many)


@pytest.mark.parametrize(
    "odd",
    [
    b"null", b"[]", b"1", b'"text"', b"{}", b"{", b"}", b" ", b"\t", b"\r", b"\x00", b"\x0b", b"\xef\xbb\xbf",
    b"{}{}", b"{} {}", b"{}\x00", b"{}null", b"{},", b"[{}]",
    b"O null", b"O 1", b"O,", b"O]", b"O}", b"O\x00", b"O\x00rubbish", b"O//", b"O/**/", b" O", b"\tO", b"O ", b"O\t",
    b"\x0bO", b"O\x0b", b"O\xc2\xa0", b"\xef\xbb\xbfO",
        b"OO", b"O O", b"O\rO", b"\xffO", b"O\xff", b"OP", b"P", b"PO", b'O"', b"O:",
    ],
)  # fmt: skip
def test_each_odd_line_is_judged_alike(bench: Bench, dump: Path, finely: pytest.MonkeyPatch, odd: bytes) -> None:
    """O stands for an ordinary object, P for the beginning of one that goes on in the next line."""
    whole = line({})
    odd = odd.replace(b"O", whole).replace(b"P", whole[:-1] + b",")
    for many in ([whole, odd, b'"api_key":"k"}', whole], [odd, odd]):
        assert_alike(bench, dump, "jsonl", b"\n".join(many))
    assert_alike(bench, dump, "jsonl", b"\r\n".join([whole, whole, odd, b""]))


@pytest.mark.parametrize(
    "member",
    ['"sku":"again"', '"sku":null', '"SKU":"x"', '" sku":"x"', '"":1', '"x":null', '"timestamp":"t"', '"value":1', '"source":null',
        '"dims":{}', '"dims":null', '"dims":[]', '"api_key":"k",'],
)  # fmt: skip
def test_each_odd_member_is_judged_alike(bench: Bench, dump: Path, finely: pytest.MonkeyPatch, member: str) -> None:
    odd = line({})[:-1] + b"," + member.encode() + b"}"
    spaced = line({}).replace(b'":"', b'" :\t"').replace(b'","', b'" ,  "')
    assert_alike(
        bench, dump, "jsonl", b"\n".join([line({}), odd, spaced, b"{" + member.encode() + b"," + line({})[1:]])
    )


@pytest.mark.parametrize(
    "names",
    [
        ("a", "b"),
        (*ORDINARY, "note"),
        (*ORDINARY, "source"),
        tuple(reversed(ORDINARY)),
        (*ORDINARY, "dims"),
        ("event_id",),
        ("timestamp", *ORDINARY),
    ],
)
def test_each_odd_header_is_judged_alike(
    bench: Bench, dump: Path, finely: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    many = [
        row({}, names),
        row({"note": "x", "source": "y", "dims": '"{""a"": 1}"', "timestamp": "2026-09-01T00:00:00Z"}, names),
    ]
    assert_alike(bench, dump, "csv", csv_dump(many, names))
    assert_alike(bench, dump, "csv", csv_dump([*many, *many[:1] * 5], names, b"\r\n"))
    assert ordinary(dump, "csv") == (7 - bool(set(names) - set(ORDINARY)) if set(names) >= set(ORDINARY) else 0)


# ---- anything

NUMBER_SIGNS = st.text("0123456789+-.eExX_ ", max_size=14)
TIME = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["2026-09-01", "2026-02-30", "20260901", "2000-01-01", "99999-01-01"]),
        st.sampled_from(["T", " ", "t", ""]),
        st.sampled_from(["00", "23", "24", "00:00", "2359", "00:60", "00:00:00", "23:59:59", "23:59:60", ""]),
        st.sampled_from(["", ".", ".1", ".123456", ".1234567", ",5", ".000000"]),
        st.sampled_from(["", "Z", "z", "+02", "+0200", "-02:00", "+24:00", "+2", "+02:0", " Z", "-00:61", "Z+02:00"]),
    ),
)
FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@example(numbers=["1e0x10", "1e+-1", "1"], times=["2026-09-01T00+02:00"])
@given(numbers=st.lists(NUMBER_SIGNS, min_size=1, max_size=30), times=st.lists(TIME, min_size=1, max_size=30))
def test_any_number_and_time_is_judged_alike(
    bench: Bench, dump: Path, finely: pytest.MonkeyPatch, numbers: list[str], times: list[str]
) -> None:
    values = [{name: value} for name in ("quantity", "sampling_rate") for value in numbers]
    values += [{name: value} for name in ("event_ts", "ingested_ts") for value in times if "," not in value]
    tokens = [line({}, {"quantity": number}) for number in numbers]
    assert_alike(bench, dump, "jsonl", b"\n".join([line(value) for value in values] + tokens))
    assert_alike(bench, dump, "csv", csv_dump([row(value, tuple(ORDINARY)) for value in values]))


PARTS = [
    b"O",
    b"O",
    b"O",
    b"\n",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b'"',
    b'""',
    b",",
    b" ",
    b"\xff",
    "\u00a0é".encode(),
    b"\x00",
    b"x",
    b"{",
    b"}",
    b"\\",
    b"'",
]


@FEW
@given(parts=st.lists(st.sampled_from(PARTS), max_size=60), block=st.integers(100, 3000), run=st.sampled_from([1, 300]))
def test_any_bytes_are_cut_and_judged_alike(
    bench: Bench, dump: Path, finely: pytest.MonkeyPatch, parts: list[bytes], block: int, run: int
) -> None:
    """Against the full way, and for CSV against the csv module alone; wherever the blocks end."""
    finely.setattr(source, "BLOCK_BYTES", block)
    jsonl = b"".join(parts).replace(b"O", line({}))
    found = assert_alike(bench, dump, "jsonl", jsonl)
    numbered = {number for number, text in enumerate(jsonl.split(b"\n"), start=1) if text.strip(b" \t\r\n\x0b\x0c")}
    if "unreadable" not in found:
        assert {record["row_number"] for kind in ("accepted", "rejected") for record in found[kind]} == numbered
    content = csv_dump([b"".join(parts).replace(b"O", row({}, tuple(ORDINARY)))])
    finely.setattr(csv_rows, "LEAST_RUN_BYTES", run)
    short = assert_alike(bench, dump, "csv", content)
    finely.setattr(csv_rows, "LEAST_RUN_BYTES", 1 << 40)
    assert landed(bench, dump, "csv", False) == short


def test_a_cut_line_keeps_its_length(bench: Bench, dump: Path, finely: pytest.MonkeyPatch) -> None:
    """Plain though it looks."""
    finely.setattr(fields, "KEPT_RECORD_BYTES", fields.RECORD_LIMIT_BYTES + 10)
    long, many = b"x" * (fields.RECORD_LIMIT_BYTES + 5000), [row({}, tuple(ORDINARY))] * 3
    [record] = assert_alike(bench, dump, "csv", csv_dump([*many, long, *many]))["rejected"]
    assert (len(record["record"]), record["row_number"]) == (fields.RECORD_LIMIT_BYTES + 10, 4)
    assert str(len(long)) in record["detail"]
    [record] = assert_alike(bench, dump, "jsonl", b"\n".join([line({}), b"{" + long, line({})]))["rejected"]
    assert (len(record["record"]), record["row_number"]) == (fields.RECORD_LIMIT_BYTES + 10, 2)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(st.sampled_from([b"\n", b"a", b"bb", b"\r"]), max_size=40),
    block=st.integers(1, 12),
    kept=st.integers(12, 20),
)
def test_texts_are_all_lines(
    dump: Path, monkeypatch: pytest.MonkeyPatch, content: list[bytes], block: int, kept: int
) -> None:
    monkeypatch.setattr(source, "BLOCK_BYTES", block)
    whole = b"".join(content)
    dump.write_bytes(whole)
    expected = [(text[:kept], len(text)) for text in whole.split(b"\n")]
    if expected[-1][1] == 0:
        expected.pop()
    found = []
    for text, cut_length in source.lines(dump, None, 1 << 40, kept):
        found += [(text, cut_length)] if cut_length else [(part, len(part)) for part in text.split(b"\n")]
    assert found == expected

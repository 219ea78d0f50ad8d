# ruff: noqa: E501 - a table reads best with one case per line
"""The corpus of bad files: each made in code, the same bytes every time, with what must come of it.

A case says what a landing must make of the file: `records` accepted and rejected, or a part of the reason for which
the whole file is rejected.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

EVENTS = 20


def event(number: int, **changes: Any) -> dict[str, Any]:
    """A sound event."""
    return {
        "event_id": f"evt-{number:04d}",
        "producer": "api-gateway",
        "event_ts": "2026-09-15T10:00:00Z",
        "metric": "api_requests",
        "quantity": str(number),
        "unit": "request",
        **changes,
    }


@cache
def jsonl(first: int = 0, count: int = EVENTS) -> bytes:
    """A sound dump of JSON lines."""
    return b"".join(json.dumps(event(n)).encode() + b"\n" for n in range(first, first + count))


@cache
def csv_text(first: int = 0, count: int = EVENTS) -> bytes:
    """The same as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(event(0)))
    writer.writeheader()
    writer.writerows(event(n) for n in range(first, first + count))
    return text.getvalue().encode()


def parquet(table: pa.Table | None = None, **options: Any) -> bytes:
    sink = io.BytesIO()
    if table is None:
        table = pa.Table.from_pylist([event(n) for n in range(EVENTS)])
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def gz(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def zst(content: bytes) -> bytes:
    return zstandard.compress(content)


def one_line(**changes: Any) -> bytes:
    """A dump of one record."""
    return json.dumps(event(1, **changes), ensure_ascii=False).encode()


def nested(depth: int) -> bytes:
    return one_line(dims={"a": 0}).replace(b'{"a": 0}', b'{"a": ' + b"[" * depth + b"]" * depth + b"}")


def flipped(content: bytes, marker: bytes) -> bytes:
    """One bit of the value `marker` changed."""
    place = content.index(marker)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def checked_page() -> bytes:
    """Parquet whose pages carry checksums, one of them wrong."""
    whole = parquet(use_dictionary=False, compression="none", write_page_checksum=True)
    return flipped(whole, b"evt-0007")


def run_length_bomb() -> bytes:
    """Parquet of a few kilobytes that stands for eight million rows of a hundred bytes."""
    rows = 8_000_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), ["x" * 100])
    return parquet(pa.table({"event_id": column}), compression="zstd", row_group_size=rows)


def null_bomb() -> bytes:
    """Parquet with ten million rows of nothing at all."""
    return parquet(pa.table({"event_id": pa.nulls(10_000_000, pa.string())}), row_group_size=10_000_000)


def zeros(count: int) -> bytes:
    return b"0" * count


def packed_zeros(pack: str, count: int) -> bytes:
    """So many zeros, packed piece by piece."""
    if pack == "gz":
        member = gz(zeros(10**7))
        return member * (count // 10**7)
    frame = zst(zeros(10**7))
    return frame * (count // 10**7)


@dataclass(frozen=True)
class Case:
    """`reason` set: the file is rejected for it; else `accepted` and `rejected` count its records."""

    name: str
    file_name: str
    make: Callable[[], bytes]
    accepted: int = 0
    rejected: int = 0
    reason: str | None = None


def _unreadable(name: str, file_name: str, make: Callable[[], bytes], reason: str) -> Case:
    return Case(name, file_name, make, reason=reason)


def _packed(extension: str, pack: Callable[[bytes], bytes], other: Callable[[bytes], bytes]) -> list[Case]:
    """What can go wrong with one compression, for both formats that it serves."""
    cases = []
    for format_, text in (("jsonl", jsonl), ("csv", csv_text)):
        file = f"a.{format_}.{extension}"
        whole = lambda pack=pack, text=text: pack(text())  # noqa: E731
        cases += [
            _unreadable(f"{file} cut in the middle", file, lambda w=whole: w()[: len(w()) // 2], "broken"),
            _unreadable(f"{file} cut in its last byte", file, lambda w=whole: w()[:-1], "broken"),
            _unreadable(f"{file} cut in its header", file, lambda w=whole: w()[:3], "broken"),
            _unreadable(f"{file} empty", file, lambda: b"", "an empty file"),
            _unreadable(f"{file} with garbage behind", file, lambda w=whole: w() + b"garbage", "broken"),
            _unreadable(f"{file} of the other kind", file, lambda t=text, o=other: o(t()), "broken"),
            _unreadable(f"{file} not compressed", file, lambda t=text: t(), "broken"),
            _unreadable(f"{file} compressed twice", file, lambda w=whole, p=pack: p(w()), "is compressed with"),
        ]
    halves = lambda p=pack: p(jsonl(0, 10)) + p(jsonl(10, 10))  # noqa: E731
    cases.append(Case(f"{extension} of two members", f"a.jsonl.{extension}", halves, accepted=EVENTS))
    cases.append(Case(f"{extension} of nothing", f"a.jsonl.{extension}", lambda p=pack: p(b"")))
    return cases


CASES = [
    *_packed("gz", gz, zst),
    *_packed("zst", zst, gz),
    # --- JSON lines
    Case("jsonl empty", "a.jsonl", lambda: b""),
    Case("jsonl cut in a record", "a.jsonl", lambda: jsonl()[:-20], accepted=EVENTS - 1, rejected=1),
    Case("jsonl with a byte order mark", "a.jsonl", lambda: b"\xef\xbb\xbf" + jsonl(), accepted=EVENTS),
    Case("jsonl with Latin-1 in one record", "a.jsonl", lambda: jsonl() + one_line(region="é").replace("é".encode(), b"\xe9"), EVENTS, 1),
    Case("jsonl with a raw NUL", "a.jsonl", lambda: jsonl() + one_line(region="a0b").replace(b"a0b", b"a\0b"), EVENTS, 1),
    Case("jsonl of NULs alone", "a.jsonl", lambda: b"\0" * 1000, rejected=1),
    Case("jsonl with lines of other types", "a.jsonl", lambda: b'1\n"x"\nnull\n[]\n{}\ntrue\n' + jsonl(), EVENTS, 6),
    Case("jsonl with a key twice", "a.jsonl", lambda: one_line()[:-1] + b', "unit": "x"}\n' + jsonl(), EVENTS, 1),
    Case("jsonl nested as deep as allowed", "a.jsonl", lambda: nested(98), accepted=1),
    *[Case(f"jsonl nested {n} deep", "a.jsonl", lambda n=n: nested(n) + b"\n" + jsonl(), EVENTS, 1) for n in (99, 300, 500, 990, 100_000)],
    Case("jsonl of brackets", "a.jsonl", lambda: b"[" * 900_000 + b"\n" + b'{"a":' * 150_000 + b"\n" + jsonl(), EVENTS, 2),
    Case("jsonl with a line of 100 MB", "a.jsonl", lambda: zeros(100 << 20) + b"\n" + jsonl(), EVENTS, 1),
    Case("jsonl with 100 000 tiny lines", "a.jsonl", lambda: b"1\n" * 100_000 + jsonl(), EVENTS, 100_000),
    Case("jsonl of blank lines", "a.jsonl", lambda: b"\n" * 1_000_000 + jsonl(), EVENTS),
    Case("jsonl with a number of a million digits", "a.jsonl", lambda: one_line().replace(b'"1"', b"9" * 1_000_000), rejected=1),
    Case("jsonl with half a surrogate", "a.jsonl", lambda: one_line(region="x").replace(b'"x"', b'"\\ud800"'), rejected=1),
    Case("jsonl of random bytes", "a.jsonl", lambda: bytes((n * n * 7 + n) % 251 + 2 for n in range(5000)).replace(b"\n", b"x"), rejected=1),
    *[
        _unreadable(f"jsonl in {encoding}", "a.jsonl", lambda e=encoding: jsonl().decode().encode(e), "not UTF-8")
        for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")
    ],
    _unreadable("jsonl that is gz", "a.jsonl", lambda: gz(jsonl()), "is compressed with gzip"),
    _unreadable("jsonl that is zst", "a.jsonl", lambda: zst(jsonl()), "is compressed with zstd"),
    _unreadable("jsonl that is Parquet", "a.jsonl", parquet, "is a Parquet file"),
    # --- CSV
    _unreadable("csv empty", "a.csv", lambda: b"", "no header"),
    Case("csv of a header alone", "a.csv", lambda: csv_text(0, 0)),
    Case("csv cut in a record", "a.csv", lambda: csv_text()[:-12], EVENTS - 1, 1),
    Case("csv with a byte order mark", "a.csv", lambda: b"\xef\xbb\xbf" + csv_text(), EVENTS),
    Case("csv with Latin-1 in one record", "a.csv", lambda: csv_text() + b"e,p,2026-09-15T10:00:00Z,m\xe9,1,u\r\n", EVENTS, 1),
    Case("csv with a quote never closed", "a.csv", lambda: csv_text() + b'"e,p,2026-09-15T10:00:00Z,m,1,u\r\n' + csv_text(30, 5).partition(b"\n")[2], EVENTS + 5, 1),
    Case("csv with rows too short and too long", "a.csv", lambda: csv_text() + b"e,p\r\na,b,c,d,e,f,g,h\r\n", EVENTS, 2),
    Case("csv with a line of 100 MB", "a.csv", lambda: csv_text() + zeros(100 << 20) + b"\n" + csv_text(30, 5).partition(b"\n")[2], EVENTS + 5, 1),
    Case("csv with semicolons", "a.csv", lambda: csv_text().replace(b",", b";"), 0, EVENTS),
    Case("csv with columns named as the house's own", "a.csv", lambda: csv_text().replace(b"unit\r\n", b"unit,misshapen,unreadable,record,too_long,others,unknown_0\r\n").replace(b"request\r\n", b"request,a,b,c,1,e,f\r\n"), EVENTS),
    Case("csv with SQL for a column name", "a.csv", lambda: csv_text().replace(b"unit\r\n", b"unit,'); drop table metrics; --\r\n").replace(b"request\r\n", b"request,x\r\n"), EVENTS),
    _unreadable("csv with a column twice", "a.csv", lambda: b"event_id,event_id\n1,2\n", "more than once"),
    _unreadable("csv with a Latin-1 header", "a.csv", lambda: b"event_id,caf\xe9\n1,2\n", "not valid UTF-8"),
    _unreadable("csv with a header of 100 MB", "a.csv", lambda: zeros(100 << 20) + b"\n1\n", "too long"),
    _unreadable("csv with 100 000 columns", "a.csv", lambda: ",".join(f"c{n}" for n in range(100_000)).encode() + b"\n", "columns"),
    _unreadable("csv in UTF-16", "a.csv", lambda: csv_text().decode().encode("utf-16"), "not UTF-8"),
    _unreadable("csv that is gz", "a.csv", lambda: gz(csv_text()), "is compressed with gzip"),
    # --- Parquet
    _unreadable("parquet empty", "a.parquet", lambda: b"", "Parquet"),
    _unreadable("parquet cut", "a.parquet", lambda: parquet()[:-20], "Parquet"),
    _unreadable("parquet without its beginning", "a.parquet", lambda: parquet()[100:], "Parquet"),
    _unreadable("parquet that is text", "a.parquet", jsonl, "Parquet"),
    _unreadable("parquet that is gz", "a.parquet", lambda: gz(parquet()), "Parquet"),
    _unreadable("parquet with a wrong page checksum", "a.parquet", checked_page, "CRC"),
    _unreadable("parquet with a column twice", "a.parquet", lambda: parquet(pa.table([["a"], ["b"]], ["event_id", "event_id"])), "twice"),
    Case("parquet without rows", "a.parquet", lambda: parquet(pa.table({"event_id": pa.array([], pa.string())}))),
    Case("parquet of foreign columns", "a.parquet", lambda: parquet(pa.table({"x": [1, 2]})), 0, 2),
    Case("parquet of other types", "a.parquet", lambda: parquet(pa.table({"event_id": pa.array([[1]]), "quantity": pa.array([b"\xff"]), "event_ts": pa.array([2**60], pa.timestamp("ms"))})), 0, 1),
    Case("parquet with a value of 20 MB", "a.parquet", lambda: parquet(pa.Table.from_pylist([event(1, note="y"), event(2, note="x" * 20_000_000)])), 1, 1),
    # --- bombs
    *[
        _unreadable(f"{pack} bomb of zeros", f"a.{form}.{pack}", lambda p=pack: packed_zeros(p, 300 * 10**6), "expands to more than")
        for pack in ("gz", "zst")
        for form in ("jsonl", "csv")
    ],
    _unreadable("parquet bomb of one value", "a.parquet", run_length_bomb, "expands to more than"),
    _unreadable("parquet bomb of nulls", "a.parquet", null_bomb, "expands to more than"),
]  # fmt: skip

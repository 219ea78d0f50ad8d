"""Dumps in every format in which personal data of a few people stands wherever it can stand, and a scan of a home for it."""

import csv
import gzip
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

# Reserved for documentation (RFC 2606, 5737, 3849), for fiction (555-01xx), or published for testing (cards).
EMAIL = "quentin.planted@example.com"
IP, IP6 = "198.51.100.23", "2001:db8::5:2001"
PHONE = "+1-202-555-0143"
CARD = "4111 1111 1111 1111"
FULL_NAME, FIRST_NAME, SSN = "Planted Testname", "Plantina", "078-05-1120"

# What must stand nowhere: the values, and their parts and spellings that would give them away.
PLANTED = (
    "quentin", "planted@", "198.51.100", "2001:db8:", "555-0143", "2025550143", "4111 1111", "4111-1111", "4111111111111111",
    "testname", "plantina", "078-05",
)  # fmt: skip

FREE = {
    "user_email": EMAIL.upper(),
    "Client-IP": IP,
    "note": f"call {PHONE}, or write to {EMAIL} from {IP6}",
    "payload": json.dumps({"full_name": FULL_NAME, "card": CARD, "hops": [IP, IP6]}),
    "nested": {"deep": [{"first_name": {"given": FIRST_NAME}, "ssn": SSN, "pan": 4111111111111111}]},
    EMAIL: "a key may be one, too",
}


def event(number: int, **changes: object) -> dict:
    """A sound event with personal data in dims and in fields outside the contract."""
    return {
        "event_id": f"planted-{number}",
        "producer": "gateway",
        "event_ts": "2026-09-28T10:00:00Z",
        "metric": "api_requests",
        "quantity": "0",
        "unit": "request",
        "account_id": "acct-1",
        "dims": FREE,
        "full_name": FULL_NAME,
        "contact": {"email": EMAIL, "phone": PHONE, "card_number": CARD},
        "comment": f"{EMAIL} {IP} {CARD}",
    } | changes


def events(start: int) -> list[dict]:
    """Two accepted ones, of which one names everything by a person's address, and rejected ones: bad quantity, bad time,
    a person's address where a number or a producer is due.
    """
    named = dict.fromkeys(("producer", "corrects", "metric", "unit", "sku", "region"), EMAIL)
    return [
        event(start),
        event(start + 6, event_id=f"{EMAIL}/{start}", correction="retract", **named),
        event(start + 1, quantity=EMAIL),
        event(start + 2, event_ts=f"when {EMAIL} says so"),
        event(start + 3, quantity="", producer=EMAIL, metric=PHONE),
        event(start + 4, schema_version=9),
        event(start + 5, event_id=f"{EMAIL} " * 20),
    ]


BROKEN_LINES = [
    json.dumps(event(1))[:-30].encode(),  # cut off
    b'{"event_id": "x", "full_name": "' + FULL_NAME.encode() + b'", \xff "ssn": "' + SSN.encode() + b'"}',
    f"no JSON, but {EMAIL} and {IP} and {PHONE}".encode(),
    b'{"note": "' + "".join(f"\\u{ord(letter):04x}" for letter in EMAIL).encode() + b'", "broken": ',
]


def plant(folder: Path) -> dict[str, int]:
    """Writes the dumps; per file how many records of it are accepted, so that the planting itself is checked."""
    folder.mkdir(parents=True)
    lines = [json.dumps(record).encode() for record in events(100)] + BROKEN_LINES
    (folder / "plain.jsonl").write_bytes(b"\n".join(lines))
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(b"\n".join(json.dumps(one).encode() for one in events(200))))
    (folder / "table.csv").write_bytes(_csv(events(300)))
    (folder / "packed.csv.zst").write_bytes(zstandard.ZstdCompressor().compress(_csv(events(400))))
    (folder / "table.parquet").write_bytes(_parquet(events(500)))
    (folder / "twice.csv").write_text(f"event_id,{EMAIL},{EMAIL}\n1,2,3\n")  # its header cannot be read, and is told
    (folder / f"from {EMAIL}").mkdir()
    (folder / f"from {EMAIL}" / f"{EMAIL}.jsonl").write_bytes(json.dumps(event(600)).encode())
    (folder / f"{EMAIL}.txt").write_text("nothing to land, but told")
    (folder / "torn.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines))[:300])
    return {"plain.jsonl": 2, "packed.jsonl.gz": 2, "table.csv": 2, "packed.csv.zst": 2, "table.parquet": 2}


def _texts(record: dict) -> dict[str, str]:
    return {name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in record.items()}


def _csv(records: list[dict]) -> bytes:
    rows = [_texts(record) for record in records]
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    # a cell too many, a row that breaks off behind the name, and a quote that is never closed
    row = [f"cell of {EMAIL}"] * len(rows[0])
    row[list(rows[0]).index("full_name")] = FULL_NAME
    broken = [",".join([*row, "more"]), ",".join(row[: row.index(FULL_NAME) + 1]), f'"{EMAIL},{IP}']
    return target.getvalue().encode() + "\n".join(broken).encode()


def _parquet(records: list[dict]) -> bytes:
    rows = [_texts(record) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    target = io.BytesIO()
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    columns["as bytes"] = pa.array([EMAIL.encode()] * len(rows), pa.binary())
    columns["as list"] = pa.array([[EMAIL, PHONE]] * len(rows))
    columns["as struct"] = pa.array([{"first_name": FIRST_NAME, EMAIL: IP}] * len(rows))
    columns["as map"] = pa.array([[(EMAIL, CARD)]] * len(rows), pa.map_(pa.string(), pa.string()))
    columns["as category"] = pa.array([EMAIL] * len(rows)).dictionary_encode()
    pq.write_table(pa.table(columns), target)
    return target.getvalue()


def found(folder: Path, leave_out: tuple[str, ...] = ()) -> list[str]:
    """Each planted text that stands in a file under the folder: in its bytes, its name, or its decoded rows."""
    hits = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(leave_out):
            hits += [f"{text!r} in {name}" for content in _contents(path, name) for text in planted_in(content)]
    return hits


def planted_in(text: str) -> list[str]:
    """The planted texts that stand in a text, whatever the case."""
    lower = text.lower()
    return [planted for planted in PLANTED if planted in lower]


def _contents(path: Path, name: str) -> Iterator[str]:
    yield name
    yield path.read_bytes().decode("utf-8", "replace")
    yield path.read_bytes().decode("utf-16-le", "replace")
    if path.suffix == ".parquet":
        for row in pq.ParquetFile(path).read().to_pylist():
            yield " ".join(
                value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in row.values()
            )
    if path.suffix == ".duckdb":
        yield from _rows(path)
    if path.read_bytes()[:16] == b"SQLite format 3\0":  # a long text lies in pieces
        yield from _sqlite_rows(path)


def _sqlite_rows(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            for row in connection.execute(f'select * from "{table}"'):
                yield str(row)


def _rows(database: Path) -> Iterator[str]:
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        tables = connection.execute("select table_schema, table_name from information_schema.tables").fetchall()
        for schema, table in tables:
            for row in connection.execute(f'from "{schema}"."{table}"').fetchall():
                yield str(row)

"""Files to records: finds the files of a landing, unpacks them, and yields one field map per record.

A record is a dict of field → value as the dump wrote it (numbers as text), or None when it is malformed.
"""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

EVENT_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz", ".csv.zst", ".parquet")

csv.field_size_limit(1 << 30)


class UnreadableFile(Exception):
    """The file as a whole cannot be read: it is rejected and brings no record."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a landing: its recorded name (relative to the folder given) and its content."""

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class NumberText(str):
    """A number as written in JSON: kept as its text, so that no digit is lost."""


def files_of(paths) -> list[SourceFile]:
    """The files of one landing (a folder, a file, or a list of them), in order: by recorded name, then content."""
    if isinstance(paths, str | Path):
        paths = [paths]
    found = []
    for path in map(Path, paths):
        if path.is_dir():  # noqa: SIM108 - one line would be too long to read
            inside = [(file.relative_to(path), file) for file in path.rglob("*") if file.is_file()]
        else:
            inside = [(Path(path.name), path)]
        found += [
            SourceFile(name.as_posix(), file.read_bytes())
            for name, file in inside
            if name.name.endswith(EVENT_SUFFIXES) and not any(part.startswith(".") for part in name.parts)
        ]
    return sorted(found, key=lambda file: (file.name, file.sha256))


def records_of(file: SourceFile) -> Iterator[tuple[int, dict | None]]:
    """(row number, fields) of every record of an event file. Raises UnreadableFile, possibly after some records."""
    if file.name.endswith(".parquet"):
        yield from _parquet_records(file.content)
        return
    content = unpacked(file)
    yield from _csv_records(content) if ".csv" in file.name[-8:] else _jsonl_records(content)


def unpacked(file: SourceFile) -> bytes:
    """The file's content without its compression."""
    try:
        if file.name.endswith(".gz"):
            return gzip.decompress(file.content)
        if file.name.endswith(".zst"):
            return _unpack_zstd(file.content)
    except (OSError, EOFError, zstandard.ZstdError, ValueError) as error:
        raise UnreadableFile(str(error)) from error
    except Exception as error:  # zlib.error has no common parent with the above
        raise UnreadableFile(str(error)) from error
    return file.content


def _unpack_zstd(packed: bytes) -> bytes:
    parts = []
    while packed:
        frame = zstandard.ZstdDecompressor().decompressobj()
        parts.append(frame.decompress(packed))
        if not frame.eof:
            raise UnreadableFile("the last zstd frame is cut off")
        packed = frame.unused_data
    return b"".join(parts)


# --- JSON lines -------------------------------------------------------------------------------------------------------


def _jsonl_records(content: bytes) -> Iterator[tuple[int, dict | None]]:
    for line_number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield line_number, parse_object(line)


def parse_object(line: bytes | str) -> dict | None:
    """The JSON object in `line`, or None: bad UTF-8, bad JSON, no object, a key twice, or a half surrogate pair."""
    try:
        text = line.decode("utf-8") if isinstance(line, bytes) else line
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unique_keys(pairs: list) -> dict:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key occurs twice")
    return fields


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_float=NumberText, parse_int=NumberText, parse_constant=NumberText
)


# --- CSV --------------------------------------------------------------------------------------------------------------


def _csv_records(content: bytes) -> Iterator[tuple[int, dict | None]]:
    rows = csv.reader(io.StringIO(content.decode("utf-8", "surrogateescape"), newline=""))
    try:
        header = next(rows, None)
    except csv.Error as error:
        raise UnreadableFile(str(error)) from error
    if not header or not _is_utf8(header) or len(set(header)) != len(header):
        raise UnreadableFile("no usable header")
    row_number = 0
    for row in rows:
        if not row:
            continue
        row_number += 1
        good = len(row) == len(header) and _is_utf8(row)
        yield row_number, dict(zip(header, row, strict=True)) if good else None


def _is_utf8(cells: list[str]) -> bool:
    try:
        "".join(cells).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet_records(content: bytes) -> Iterator[tuple[int, dict | None]]:
    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableFile(str(error)) from error
    for row_number, row in enumerate(_plain_timestamps(table).to_pylist(), start=1):
        yield row_number, {field: _as_written(value) for field, value in row.items()}


def _plain_timestamps(table: pa.Table) -> pa.Table:
    """Nanosecond times cut to microseconds, the contract's grain."""
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            kind = pa.timestamp("us", field.type.tz)
            table = table.set_column(at, field.name, table.column(at).cast(kind, safe=False))
    return table


def _as_written(value):
    """A Parquet value as the text a dump in text form would hold; times stay times, structs and maps become objects."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return NumberText(format(value, "f"))
    if isinstance(value, int | float):
        return NumberText(repr(value))
    if isinstance(value, list) and all(isinstance(item, tuple) for item in value):
        value = dict(value)
    if isinstance(value, dict):
        return {name: _as_written(item) for name, item in value.items() if item is not None}
    return value

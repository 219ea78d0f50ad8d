"""Turns events, bad records and reference tables into the bytes of files; the same input gives the same bytes."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from raw_samples.generator.model import BadRecord, Dump, Event

ZSTD_LEVEL = 12
STORAGE_COLUMNS = tuple(
    "event_id producer event_ts ingested_ts metric quantity unit sku account_id region bucket note".split()  # noqa: SIM905
)
COMPUTE_COLUMNS = tuple(
    "event_id producer event_ts ingested_ts metric quantity unit sku resource_id account_id region".split()  # noqa: SIM905
)
KUBE_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("producer", pa.string()),
        ("event_ts", pa.timestamp("us", tz="UTC")),
        ("ingested_ts", pa.timestamp("us", tz="UTC")),
        ("metric", pa.string()),
        ("quantity", pa.decimal128(38, 9)),
        ("unit", pa.string()),
        ("namespace", pa.string()),
        ("region", pa.string()),
        ("dims", pa.struct([("job_name", pa.string()), ("node_pool", pa.string())])),
        ("note", pa.string()),
    ]
)


def iso(at: int) -> str:
    """Epoch milliseconds as ISO 8601 in UTC, milliseconds only where there are some."""
    moment = datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{at % 1000:03d}Z" if at % 1000 else f"{moment}Z"


def india_iso(at: int) -> str:
    """The same instant with India's offset, as the meters there write it."""
    return iso(at + 19_800_000).replace("Z", "+05:30")


def plain(value: Decimal) -> str:
    """A decimal in plain notation."""
    return format(value, "f")


compact_json = json.JSONEncoder(separators=(",", ":")).encode


def json_line(fields: dict) -> bytes:
    """One JSON object on a line; None is left out, a Decimal is written as a number with its exact digits."""
    cells = []
    for name, value in fields.items():
        if value is None:
            continue
        text = plain(value) if isinstance(value, Decimal) else compact_json(value)
        cells.append(f'"{name}":{text}')
    return ("{" + ",".join(cells) + "}").encode()


def v2_fields(event: Event) -> dict:
    """A v2 event as its JSON fields; quantities and rates are text, so that no reader rounds them."""
    return {
        "event_id": event.event_id,
        "producer": event.producer,
        "event_ts": iso(event.event_ts),
        "ingested_ts": iso(event.ingested_ts),
        "metric": event.metric,
        "quantity": plain(event.quantity),
        "unit": event.unit,
        "sku": event.sku,
        "account_id": event.account_id,
        "api_key": event.api_key,
        "namespace": event.namespace,
        "resource_id": event.resource_id,
        "region": event.region,
        "sampling_rate": Decimal(event.sampling_rate) if event.sampling_rate else None,
        "dims": event.dims,
        **(event.extra or {}),
    }


def v1_fields(event: Event) -> dict:
    """The same in the older schema: other names, epoch milliseconds, quantities as JSON numbers."""
    return {
        "schema_version": 1,
        "event_id": event.event_id,
        "timestamp": event.event_ts,
        "source": event.producer,
        "account": event.account_id,
        "api_key": event.api_key,
        "region": event.region,
        "metric": event.metric,
        "value": event.quantity,
        "unit": event.unit,
        **(event.extra or {}),
    }


def storage_cells(event: Event) -> list:
    """A storage reading as CSV cells."""
    at = india_iso(event.event_ts) if event.region == "ap-south-1" else iso(event.event_ts)
    extra = event.extra or {}
    return [
        event.event_id,
        event.producer,
        at,
        iso(event.ingested_ts),
        event.metric,
        plain(event.quantity),
        event.unit,
        event.sku,
        event.account_id,
        event.region,
        extra.get("bucket"),
        extra.get("note"),
    ]


def compute_cells(event: Event) -> list:
    """An instance reading as CSV cells, times as epoch milliseconds."""
    return [
        event.event_id,
        event.producer,
        event.event_ts,
        event.ingested_ts,
        event.metric,
        plain(event.quantity),
        event.unit,
        event.sku,
        event.resource_id,
        event.account_id,
        event.region,
    ]


def kube_cells(event: Event) -> dict:
    """A cluster reading as Parquet cells."""
    return {
        "event_id": event.event_id,
        "producer": event.producer,
        "event_ts": event.event_ts * 1000,
        "ingested_ts": event.ingested_ts * 1000,
        "metric": event.metric,
        "quantity": event.quantity,
        "unit": event.unit,
        "namespace": event.namespace,
        "region": event.region,
        "dims": event.dims,
        "note": (event.extra or {}).get("note"),
    }


def csv_row(cells: list) -> bytes:
    """One CSV row without its line end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue().encode()


def text_of(dump: Dump) -> bytes:
    """The uncompressed bytes of a text dump."""
    if ".jsonl" in dump.path:
        fields = v1_fields if dump.producer == "functions-runtime" else v2_fields
        lines = [r.raw if isinstance(r, BadRecord) else json_line(fields(r)) for r in dump.records]
    else:
        columns, cells = {
            "storage-meter": (STORAGE_COLUMNS, storage_cells),
            "compute-agent": (COMPUTE_COLUMNS, compute_cells),
        }[dump.producer]
        lines = [csv_row(columns), *(r.raw if isinstance(r, BadRecord) else csv_row(cells(r)) for r in dump.records)]
    return b"\n".join(lines) + b"\n" + dump.tail


def parquet_of(rows: list[dict], schema: pa.Schema) -> bytes:
    """Rows as a Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out, compression="zstd", compression_level=ZSTD_LEVEL)
    return out.getvalue()


def dump_bytes(dump: Dump) -> bytes:
    """The file's bytes. Gzip comes from pyarrow's own zlib: no time in the header, the same on every machine."""
    if dump.path.endswith(".parquet"):
        return parquet_of([r.cells if isinstance(r, BadRecord) else kube_cells(r) for r in dump.records], KUBE_SCHEMA)
    data = text_of(dump)
    if dump.path.endswith(".gz"):
        data = pa.Codec("gzip", compression_level=dump.level).compress(data).to_pybytes()
    elif dump.path.endswith(".zst"):
        data = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)
    return data[: len(data) // 2] if dump.cut else data


def table_text(columns: tuple[str, ...], rows: list[tuple]) -> bytes:
    """A reference table as CSV."""

    def cell(value: object) -> object:
        return plain(value) if isinstance(value, Decimal) else str(value).lower() if isinstance(value, bool) else value

    return b"".join(csv_row([cell(value) for value in row]) + b"\n" for row in [columns, *rows])


def table_parquet(columns: tuple[str, ...], rows: list[tuple]) -> bytes:
    """A reference table as Parquet, typed by its first row."""
    kinds = {Decimal: pa.decimal128(38, 12), date: pa.date32(), str: pa.string()}
    schema = pa.schema([(name, kinds[type(value)]) for name, value in zip(columns, rows[0], strict=True)])
    return parquet_of([dict(zip(columns, row, strict=True)) for row in rows], schema)


def as_json(value: dict) -> bytes:
    """JSON text with sorted keys; each row of a table stands on one line, decimals are text in plain notation."""

    def one_line(item: object) -> str:
        return json.dumps(item, sort_keys=True, ensure_ascii=False, default=plain)

    parts = []
    for name, part in sorted(value.items()):
        rows = part if isinstance(part, list) and part and isinstance(part[0], dict) else None
        text = "[\n  " + ",\n  ".join(map(one_line, rows)) + "\n ]" if rows else one_line(part)
        parts.append(f' "{name}": {text}')
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Writes path → bytes below a folder."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

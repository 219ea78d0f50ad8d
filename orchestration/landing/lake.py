"""The lake's Parquet: the columns of accepted and rejected records, and the writer of a batch's part files.

The same input gives the same bytes: nothing in a file depends on the clock, on threads, or on where it lies.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

QUANTITY = pa.decimal128(38, 9)

EVENTS = pa.schema(
    [
        ("file_order", pa.int32()),
        ("row_number", pa.int64()),
        ("schema_version", pa.int16()),
        ("producer", pa.string()),
        ("event_id", pa.string()),
        ("event_ts", pa.timestamp("us")),
        ("ingested_ts", pa.timestamp("us")),
        ("metric", pa.string()),
        ("quantity", QUANTITY),
        ("unit", pa.string()),
        ("sku", pa.string()),
        ("account_id", pa.string()),
        ("api_key", pa.string()),
        ("namespace", pa.string()),
        ("resource_id", pa.string()),
        ("region", pa.string()),
        ("sampling_rate", pa.decimal128(18, 9)),
        ("corrects", pa.string()),
        ("correction", pa.string()),
        ("dims", pa.string()),
        ("extra", pa.string()),
    ]
)

# What lies in the lake. Most ids are UUIDs: those stand in `event_uuid`, 16 bytes instead of 36, and `event_id` is null.
_ID = EVENTS.get_field_index("event_id")
LAKE_EVENTS = EVENTS.insert(_ID + 1, pa.field("event_uuid", pa.uuid()))

REJECTED = pa.schema(
    [
        ("file_order", pa.int32()),
        ("row_number", pa.int64()),
        ("reasons", pa.list_(pa.string())),
        ("detail", pa.string()),
        ("producer", pa.string()),
        ("event_id", pa.string()),
        ("metric", pa.string()),
        ("record", pa.binary()),
        ("header", pa.list_(pa.string())),
    ]
)

ROW_GROUP_ROWS = 122_880
HELD_BYTES = 64 << 20  # of a file that may yet turn out unreadable


def write_parquet(table: pa.Table, path: Path) -> None:
    """One whole table as one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _writer(path, table.schema) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Times and row numbers as differences, which are small; a dictionary for what repeats."""
    steps = [field.name for field in schema if field.type in (pa.int64(), pa.timestamp("us"))]
    repeated = [field.name for field in schema if field.type in (pa.string(), pa.int32(), pa.int16())]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeated,
        column_encoding=dict.fromkeys(steps, "DELTA_BINARY_PACKED"),
    )


class PartWriter:
    """Writes the rows of a batch's dumps into part files in one folder; a dump that breaks off leaves nothing.

    Small dumps share a part; their rows are held until the dump is whole. A dump beyond HELD_BYTES gets parts of its
    own.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._parts: list[tuple[Path, int]] = []
        self._shared = _Part(schema)
        self._own: _Part | None = None
        self._held: list[pa.Table] = []
        self._held_bytes = 0

    def add(self, table: pa.Table) -> None:
        """Rows of the dump at hand."""
        if table.num_rows == 0:
            return
        if self._own is None:
            self._held.append(table)
            self._held_bytes += table.nbytes
            if self._held_bytes <= HELD_BYTES:
                return
            self._close(self._shared)
            self._shared = _Part(self._schema)
            self._own = self._open(_Part(self._schema))
            held, self._held = self._held, []
            for earlier in held:
                self._own.add(earlier)
        else:
            self._own.add(table)

    def end_dump(self, keep: bool) -> None:
        """The dump at hand is whole (keep), or turned out unreadable."""
        if self._own is not None:
            if keep:
                self._close(self._own)
            else:
                self._own.discard()
            self._own = None
        elif keep and self._held:
            self._open(self._shared)
            for table in self._held:
                self._shared.add(table)
        self._held, self._held_bytes = [], 0

    def close(self) -> list[tuple[Path, int]]:
        """Finishes the last part; all parts with their numbers of rows."""
        self._close(self._shared)
        return self._parts

    def _open(self, part: "_Part") -> "_Part":
        if part.path is None:
            part.path = self._folder / f"part-{len(self._parts):05d}.parquet"
        return part

    def _close(self, part: "_Part") -> None:
        if part.path is not None:
            self._parts.append((part.path, part.close()))


class _Part:
    """One part file: gathers rows to whole row groups, so that many small dumps do not become many small groups."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self.path: Path | None = None
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._waiting_rows = 0

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        self._rows += table.num_rows
        if self._waiting_rows >= ROW_GROUP_ROWS:
            rows = pa.concat_tables(self._waiting)
            whole = rows.num_rows - rows.num_rows % ROW_GROUP_ROWS
            self._write(rows.slice(0, whole))
            self._waiting, self._waiting_rows = [rows.slice(whole)], rows.num_rows - whole

    def _write(self, rows: pa.Table) -> None:
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _writer(self.path, self._schema)
        self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)

    def close(self) -> int:
        """Writes what is left; the number of rows in the part."""
        if self._waiting_rows:
            self._write(pa.concat_tables(self._waiting))
        self._writer.close()
        return self._rows

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self.path.unlink()
        self._waiting = []

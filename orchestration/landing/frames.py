"""The messages between a landing and its parser: a JSON head and Arrow tables behind it, with their lengths in front.

Nothing is pickled: the parser has read foreign files, so that what comes from it is taken as data and never as code.
"""

import json
import os
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

_LENGTHS = struct.Struct("<IQ")  # of the head, of all tables
_TABLES = "table_bytes"
_LARGEST = 1 << 36  # bytes; what claims to be longer is no message


class Frame(NamedTuple):
    """One message: `head` says what it is, `tables` is what belongs to it."""

    head: dict[str, Any]
    tables: list[pa.Table]


class Garbled(Exception):
    """What came is no message: its sender is out of its mind."""


def send(descriptor: int, head: dict[str, Any], *tables: pa.Table) -> None:
    """Writes one message. Raises BrokenPipeError when nobody listens any more."""
    parts = [_stream(table) for table in tables]
    text = json.dumps(head | {_TABLES: [len(part) for part in parts]}).encode()
    for part in (_LENGTHS.pack(len(text), sum(map(len, parts))), text, *parts):
        view = memoryview(part)
        while view:
            view = view[os.write(descriptor, view) :]


def _stream(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def receive(read: Callable[[int], pa.Buffer | None]) -> Frame | None:
    """The next message, null at the end. `read` gives so many bytes, or null when there are no more. Raises Garbled."""
    lengths = read(_LENGTHS.size)
    if lengths is None:
        return None
    text_bytes, table_bytes = _LENGTHS.unpack(lengths)
    if table_bytes > _LARGEST:
        raise Garbled(f"a message of {table_bytes} bytes")
    text = read(text_bytes)
    body = read(table_bytes)
    if text is None or body is None:
        return None
    try:
        head, tables, start = json.loads(text.to_pybytes()), [], 0
        for length in head.pop(_TABLES):
            part = pa.py_buffer(memoryview(body)[start : start + length])
            tables.append(pa.ipc.open_stream(part).read_all())
            start += length
    except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise Garbled(str(error)) from None
    return Frame(head, tables)


def read_from(descriptor: int, count: int, wait: Callable[[], None] = lambda: None) -> pa.Buffer | None:
    """Exactly so many bytes of a pipe, null at its end. `wait` is called before each read, and may give up."""
    found = pa.allocate_buffer(count)  # not filled with zeros first
    view, place = memoryview(found), 0
    while place < count:
        wait()
        got = os.readv(descriptor, [view[place:]])
        if not got:
            return None
        place += got
    return found

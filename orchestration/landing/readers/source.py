"""A dump as a stream of bytes: decompressed while it is read, never as a whole in memory."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa

ARROW_CODEC = {"gz": "gzip", "zst": "zstd"}
BLOCK_BYTES = 4 << 20


class Unreadable(Exception):
    """The file as a whole cannot be read; the message is the reason under which it is listed as rejected."""


def blocks(path: Path, compression: str | None) -> Iterator[bytes]:
    """The file's content in blocks, a UTF-8 byte order mark left out. Raises Unreadable on broken compression."""
    if compression and path.stat().st_size == 0:
        raise Unreadable(f"an empty file is not a .{compression} file")
    with closing(pa.OSFile(str(path))) as raw:
        stream = pa.CompressedInputStream(raw, ARROW_CODEC[compression]) if compression else raw
        first = True
        while True:
            try:
                block = stream.read(BLOCK_BYTES)
            except OSError as error:
                raise Unreadable(f"broken {compression or 'file'}: {error}") from None
            if not block:
                return
            yield block.removeprefix(b"\xef\xbb\xbf") if first else block
            first = False


def lines(path: Path, compression: str | None, keep_bytes: int) -> Iterator[tuple[list[bytes], int]]:
    """The content in lists of whole lines without their line feeds, each list with 0; all lists together are all lines.

    A line longer than `keep_bytes` is cut (memory stays bounded) and comes as a list of its own, with its true length.
    """
    kept, length = b"", 0  # of the line that the last block left unfinished
    for block in blocks(path, compression):
        end, feed, remainder = block.partition(b"\n")
        length += len(end)
        kept += end[: max(0, keep_bytes - len(kept))]
        if not feed:
            continue
        whole, feed, tail = remainder.rpartition(b"\n")
        following = whole.split(b"\n") if feed else []
        if length > len(kept):
            yield [kept], length
            yield following, 0
        else:
            yield [kept, *following], 0
        kept, length = tail, len(tail)
    if length:
        yield [kept], length if length > len(kept) else 0

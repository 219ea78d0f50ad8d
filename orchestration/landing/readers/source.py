"""A dump as a stream of bytes: decompressed while it is read, never as a whole in memory.

What a compressed file may unpack to. The figures were measured on usage events at their most alike (ascending ids,
all else constant), which no real dump is: gzip packs them 60:1 to 150:1, zstd 130:1 (events of 160 bytes) to 560:1
(of 1 KB). Nothing but zeros or repeated records comes near the 1030:1 that gzip can do at all, and zstd does
30 000:1. Small files may unpack to ALWAYS_ALLOWED whatever their ratio: that costs seconds. Nothing of a file beyond
its limit has been kept by then, in memory or on disk.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from orchestration.settings import shown_size

ARROW_CODEC = {"gz": "gzip", "zst": "zstd"}
BLOCK_BYTES = 4 << 20

ALWAYS_ALLOWED = 256 * 10**6
HONEST_RATIO = {"gz": 400, "zst": 1000, "parquet": 1000}

# What a text dump begins with when it is none. No JSON begins so, and no header of a CSV file.
_OTHER_BEGINNINGS = (
    (b"\x1f\x8b", "is compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd"),
    (b"BZh91AY&SY", "is compressed with bzip2"),
    (b"\xfd7zXZ\x00", "is compressed with xz"),
    (b"PK\x03\x04", "is a zip archive"),
    (b"PAR1\x15", "is a Parquet file"),
    (b"\xff\xfe", "is UTF-16 or UTF-32 text, not UTF-8"),
    (b"\xfe\xff", "is UTF-16 text, not UTF-8"),
    (b"\x00\x00\xfe\xff", "is UTF-32 text, not UTF-8"),
)


class Unreadable(Exception):
    """The file as a whole cannot be read; the message is the reason under which it is listed as rejected."""


class Allowance:
    """Counts what a packed file unpacks to."""

    def __init__(self, packed_bytes: int, packing: str, most_bytes: int) -> None:
        ratio = HONEST_RATIO[packing]
        by_ratio = max(ALWAYS_ALLOWED, ratio * packed_bytes)
        self._left = self._allowed = min(by_ratio, most_bytes)
        self._why = f", {ratio} times its size" if self._allowed == ratio * packed_bytes else ""

    def spend(self, expanded_bytes: int) -> None:
        """Raises Unreadable when it is too much."""
        self.check(expanded_bytes)
        self._left -= expanded_bytes

    def check(self, expanded_bytes: int) -> None:
        """Raises Unreadable when so much more would be too much."""
        if expanded_bytes > self._left:
            raise Unreadable(f"unreadable: it expands to more than {shown_size(self._allowed)}{self._why}")


def blocks(path: Path, compression: str | None, most_bytes: int) -> Iterator[bytes]:
    """The file's content in blocks, a UTF-8 byte order mark left out. Raises Unreadable on what is no text dump."""
    size = path.stat().st_size
    if compression and size == 0:
        raise Unreadable(f"an empty file is not a .{compression} file")
    allowance = Allowance(size, compression, most_bytes) if compression else None
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
            if allowance:
                allowance.spend(len(block))
            if first:
                _refuse_other_content(block, compression)
            yield block.removeprefix(b"\xef\xbb\xbf") if first else block
            first = False


def _refuse_other_content(beginning: bytes, compression: str | None) -> None:
    what = next((what for magic, what in _OTHER_BEGINNINGS if beginning.startswith(magic)), None)
    # every second byte of Latin text is zero in UTF-16
    if what is None and (beginning[0:4:2] == b"\0\0") != (beginning[1:4:2] == b"\0\0"):
        what = "is UTF-16 text, not UTF-8"
    if what:
        raise Unreadable(f"unreadable: {'its content' if compression else 'it'} {what}")


def lines(path: Path, compression: str | None, most_bytes: int, keep_bytes: int) -> Iterator[tuple[bytes, int]]:
    """The content in texts of whole lines joined by line feeds, each text with 0; all texts together are all lines.

    A line longer than `keep_bytes` is cut (memory stays bounded) and comes as a text of its own, with its true length.
    """
    kept, length = b"", 0  # of the line that the last block left unfinished
    for block in blocks(path, compression, most_bytes):
        first, last = block.find(b"\n"), block.rfind(b"\n")
        end = len(block) if first < 0 else first
        length += end
        kept += block[: min(end, max(0, keep_bytes - len(kept)))]
        if first < 0:
            continue
        if length > len(kept):
            yield kept, length
            if last > first:
                yield block[first + 1 : last], 0
        else:
            yield kept + block[first:last], 0
        kept = block[last + 1 :]
        length = len(kept)
    if length:
        yield kept, length if length > len(kept) else 0

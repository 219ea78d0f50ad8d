"""The parser's process with a reader that dies of certain words, as a native parser dies of certain bytes.

A dump or reference file whose first bytes are one of the words gets what it asks for; every other is read as ever.
"""

import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestration.landing import worker
from orchestration.landing.readers import jsonl

HELD = []


def hang() -> None:
    """Never comes back, and lets no other thread of the process run."""
    ctypes.PyDLL(None).sleep(1000)


def hog() -> None:
    """Wants all memory there is."""
    while True:
        HELD.append(bytearray(50_000_000))


def exit_early() -> None:
    """Ends as if all were well."""
    os._exit(0)


def babble() -> None:
    """Writes over its own answers."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b"\xff" * 1000)
        except OSError:
            continue


DEEDS = {
    b"SEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    b"ABRT": os.abort,
    b"HANG": hang,
    b"HOG!": hog,
    b"EXIT": exit_early,
    b"BABB": babble,
}


def do(path: Path) -> None:
    """What the file asks for."""
    with path.open("rb") as file:
        deed = DEEDS.get(file.read(4))
    if deed:
        deed()


def main() -> None:
    """The parser, spoilt."""
    pieces, read_reference = jsonl.pieces, worker.read_reference

    def spoilt_pieces(path: Path, *how: Any) -> Iterator[Any]:
        do(path)
        yield from pieces(path, *how)

    def spoilt_reference(path: Path, *how: Any) -> Any:
        do(path)
        return read_reference(path, *how)

    jsonl.pieces, worker.read_reference = spoilt_pieces, spoilt_reference
    worker.main()

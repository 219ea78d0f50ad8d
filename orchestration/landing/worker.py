"""The parser's process: reads foreign files one after another, within its limits, and says what is in them.

It trusts nothing that it reads, and nobody trusts it: it writes nothing but its answers (and what DuckDB spills).
"""

import errno
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa

from orchestration import child
from orchestration.errors import UsageWarehouseError
from orchestration.landing import frames
from orchestration.landing.engine import open_engine
from orchestration.landing.find import NotNow, identity, open_regular
from orchestration.landing.pii import Redactor
from orchestration.landing.processing import Bench
from orchestration.landing.readers import Unreadable
from orchestration.landing.references import read_reference

# What the machine lacks is no fault of a file.
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EROFS}

Answer = tuple[dict[str, Any], list[pa.Table]]


@dataclass
class _Room:
    """What the process works with once it is set up."""

    bench: Bench
    redactor: Redactor


class _WithoutPandas(MetaPathFinder):
    """PyArrow would import pandas with the first array that it makes, which takes half as long as importing all that is needed here."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name=name)


def main() -> None:
    """Answers requests on standard input until it ends."""
    requests, answers = child.take_pipes()
    child.die_with_parent()
    sys.meta_path.insert(0, _WithoutPandas())
    room: _Room | None = None
    with ExitStack() as held:
        while frame := frames.receive(lambda count: frames.read_from(requests, count)):
            if frame.head["do"] == "set up":
                limit_memory = room is None
                room = _set_up(held, frame.head)
                if limit_memory:
                    _limit_memory(frame.head["memory_bytes"])
                frames.send(answers, {"is": "ready"})
                continue
            for head, tables in _answer(room, frame.head):
                frames.send(answers, head, *tables)
                if head["is"] == "out of memory":
                    os._exit(1)  # what is left of it is of no use


def _set_up(held: ExitStack, request: dict[str, Any]) -> _Room:
    held.close()
    key = bytes.fromhex(request["pii_key"])
    # a folder of its own: what an earlier one spilled before it was killed may still lie there
    spill = str(Path(request["scratch"]) / f"spill.{os.getpid()}")
    engine = held.enter_context(open_engine(request["memory_limit"], spill))
    engine.execute("create table negative_refused (metric varchar)")
    engine.execute("insert into negative_refused select unnest($metrics)", {"metrics": request["negative_refused"]})
    landed_at = datetime.fromisoformat(request["landed_at"])
    refused = pa.array(request["negative_refused"], pa.string())
    return _Room(Bench(engine, request["threads"], landed_at, key, refused), Redactor(key))


def _limit_memory(allowed: int) -> None:
    """So much beyond what the process holds now; asking for more then fails."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return
    held = int(status.partition("VmData:")[2].split()[0]) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (held + allowed, held + allowed))


def _answer(room: _Room, request: dict[str, Any]) -> Iterator[Answer]:
    """What there is in one file; the last answer is how it ended."""
    try:
        descriptor = _opened(request)
        try:
            yield from _JOBS[request["do"]](room, request, Path(f"/dev/fd/{descriptor}"))
            if list(identity(os.fstat(descriptor))) != request["identity"]:
                raise NotNow("changed while it was read: its upload is not complete")
        finally:
            os.close(descriptor)
    except Unreadable as error:
        yield {"is": "unreadable", "reason": room.redactor.text(str(error))}, []
    except NotNow as error:
        yield {"is": "not now", "reason": str(error)}, []
    except (MemoryError, duckdb.OutOfMemoryException):
        yield {"is": "out of memory"}, []
    except Exception as error:
        yield _failure(room, error), []
    else:
        yield {"is": "done"}, []


def _failure(room: _Room, error: Exception) -> dict[str, Any]:
    """The machine's fault fails the landing; any other fault of a parser is the file's: it is not readable here."""
    what = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    if isinstance(error, UsageWarehouseError | duckdb.IOException) or getattr(error, "errno", None) in _MACHINE:
        return {"is": "failed", "reason": str(error) if isinstance(error, UsageWarehouseError) else what}
    return {"is": "unreadable", "reason": f"unreadable: the parser failed with {room.redactor.text(what)}"}


def _opened(request: dict[str, Any]) -> int:
    """The very file that was hashed."""
    descriptor = open_regular(Path(os.fsdecode(bytes.fromhex(request["path"]))))
    if list(identity(os.fstat(descriptor))) != request["identity"]:
        os.close(descriptor)
        raise NotNow("changed after it was found: its upload is not complete")
    return descriptor


def _events(room: _Room, request: dict[str, Any], path: Path) -> Iterator[Answer]:
    how = (request["format"], request["compression"], request["file_order"], request["expanded_bytes"])
    for done in room.bench.processed(path, *how):
        yield {"is": "piece", "detections": done.detections}, [done.accepted, done.rejected]


def _reference(room: _Room, request: dict[str, Any], path: Path) -> Iterator[Answer]:
    what = (request["format"], request["table"], request["batch_id"], request["expanded_bytes"])
    rows, faults = read_reference(path, *what)
    yield {"is": "piece", "faults": [room.redactor.text(fault) for fault in faults]}, [rows]


_JOBS = {"events": _events, "reference": _reference}

"""The parser: a process of its own in which all foreign files are read, as seen from the landing.

A file can crash a parser, make it run for ever, or have it ask for all memory there is. In a process of its own it
takes only that process along; the file is a rejected file, and the next one gets a new process. One process serves
many files, because starting one takes half a second.
"""

import os
import select
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa

from orchestration import child
from orchestration.errors import UsageWarehouseError
from orchestration.landing import frames
from orchestration.landing.find import Dump, NotNow
from orchestration.landing.lake import LAKE_EVENTS, REJECTED
from orchestration.landing.processing import Processed
from orchestration.landing.readers import Unreadable
from orchestration.landing.reference_tables import TABLES
from orchestration.settings import Settings, shown_size

PROGRAM = child.PARSER
START_SECONDS = 120


class Suspect(Exception):
    """The process died, but it had read other files before, of which one may have damaged it: try this file again."""


class Parser:
    """Reads dumps and reference files in a process of its own, which starts with the first file. A context manager."""

    def __init__(self, settings: Settings, pii_key: bytes, landed_at: datetime) -> None:
        self._settings, self._limits = settings, settings.file_limits
        self._set_up = {
            "memory_limit": settings.memory_limit,
            "threads": settings.threads,
            "scratch": str(settings.scratch),
            "memory_bytes": self._limits.memory_bytes,
            "pii_key": pii_key.hex(),
            "landed_at": landed_at.isoformat(),
            "negative_refused": [],
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._files = 0  # that the process has been given

    def __enter__(self) -> "Parser":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def refuse_negative(self, metrics: list[str]) -> None:
        """The metrics whose quantities may not be negative, for all dumps to come."""
        self._set_up["negative_refused"] = metrics
        if self._process:
            self._set_it_up()

    def reference(self, dump: Dump, batch_id: int) -> tuple[pa.Table, list[str]]:
        """A reference file's rows and its faults. Raises NotNow."""
        request = self._request("reference", dump) | {"table": dump.table, "batch_id": batch_id}
        try:
            try:
                [frame] = self._answers(request)
            except Suspect:
                [frame] = self._answers(request)
        except Unreadable as error:
            return TABLES[dump.table].schema.empty_table(), [str(error)]
        return frame.tables[0], frame.head["faults"]

    def events(self, dump: Dump, file_order: int) -> Iterator[Processed]:
        """A dump's records, piece by piece. Raises Unreadable, NotNow and Suspect, possibly after some pieces."""
        request = self._request("events", dump) | {
            "compression": dump.compression,
            "file_order": file_order,
        }
        for frame in self._answers(request):
            accepted, rejected = frame.tables
            if not (accepted.schema.equals(LAKE_EVENTS) and rejected.schema.equals(REJECTED)):
                self._died("its answer is no answer")
            yield Processed(accepted, rejected, Counter(frame.head["detections"]))

    def _request(self, what: str, dump: Dump) -> dict[str, Any]:
        return {
            "do": what,
            "path": os.fsencode(dump.path).hex(),
            "identity": dump.identity,
            "format": dump.format,
            "expanded_bytes": self._limits.expanded_bytes,
        }

    def _answers(self, request: dict[str, Any]) -> Iterator[frames.Frame]:
        """What the process makes of one file. Whoever stops listening early ends the process."""
        process = self._running()
        self._files += 1
        complete = False
        try:
            frames.send(process.stdin.fileno(), request)
            while True:
                frame = self._next_frame()
                match frame.head.get("is"):
                    case "piece":
                        yield frame
                    case "done":
                        complete = True
                        return
                    case "unreadable":
                        complete = True
                        raise Unreadable(frame.head["reason"])
                    case "not now":
                        complete = True
                        raise NotNow(frame.head["reason"])
                    case "failed":
                        raise UsageWarehouseError(frame.head["reason"])
                    case "out of memory":
                        self._died(f"needs more memory than {shown_size(self._limits.memory_bytes)}")
                    case _:
                        self._died("its answer is no answer")
        except BrokenPipeError:
            self._died(None)
        finally:
            if not complete:
                self._end()

    def _next_frame(self) -> frames.Frame:
        deadline = time.monotonic() + self._limits.seconds
        output = self._process.stdout.fileno()

        def wait() -> None:
            if not _ready(output, deadline):
                self._died(f"took longer than {self._limits.seconds:g} s")

        try:
            frame = frames.receive(lambda count: frames.read_from(output, count, wait))
        except frames.Garbled:
            frame = None
        if frame is None:
            self._died(None)
        return frame

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, started if need be."""
        if self._process is None:
            self._files = 0
            self._settings.scratch.mkdir(parents=True, exist_ok=True)  # for what DuckDB spills
            self._process = child.start(PROGRAM)
            self._set_it_up()
        return self._process

    def _set_it_up(self) -> None:
        """A process that does not even start is no fault of a file."""
        output, deadline = self._process.stdout.fileno(), time.monotonic() + START_SECONDS

        def wait() -> None:
            if not _ready(output, deadline):
                raise UsageWarehouseError(f"the process that parses files did not start within {START_SECONDS} s")

        try:
            frames.send(self._process.stdin.fileno(), {"do": "set up", **self._set_up})
            frame = frames.receive(lambda count: frames.read_from(output, count, wait))
        except (BrokenPipeError, frames.Garbled):
            frame = None
        except BaseException:
            self._end()
            raise
        if frame is None or frame.head.get("is") != "ready":
            self._end()
            why = frame.head.get("reason") if frame else "it ended at once"
            raise UsageWarehouseError(f"the process that parses files cannot be started: {why}")

    def _died(self, why: str | None) -> None:
        """Ends the process for good and raises what that means for the file at hand: why null = find out."""
        fresh = self._files == 1
        status = self._end()
        if not fresh:
            raise Suspect
        if why is None:
            why = f"the parser died with signal {-status}" if status < 0 else f"the parser ended with code {status}"
        raise Unreadable(f"unreadable: {why}")

    def _end(self) -> int:
        """Ends the process, if there is one; its exit status as it ended by itself, if it did."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.stdin.close()
        # a process that is dying closes its pipe a moment before it can be waited for
        try:
            status = process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        process.stdout.close()
        return status


def _ready(descriptor: int, deadline: float) -> bool:
    """Waits until there is something to read, or its end."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

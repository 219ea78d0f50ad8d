"""What one dump adds to the batch: the parser's pieces go to the writers, and are counted."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow.compute as pc

from orchestration.landing.find import Dump, NotNow
from orchestration.landing.lake import PartWriter
from orchestration.landing.parsing import Parser, Suspect
from orchestration.landing.processing import Processed
from orchestration.landing.readers import Unreadable

BEHIND = 8  # pieces that wait to be written: about a row group, so that the parser need not wait for one to be packed


@dataclass
class Tally:
    """What came out of one dump; `reason` is set when it turned out unreadable, and then nothing of it counts."""

    accepted: int = 0
    rejected: int = 0
    first_event_ts: datetime | None = None
    last_event_ts: datetime | None = None
    reject_reasons: Counter[str] = field(default_factory=Counter)
    detections: Counter[str] = field(default_factory=Counter)
    reason: str | None = None

    def count(self, done: Processed) -> None:
        """Adds one piece."""
        self.accepted += done.accepted.num_rows
        self.rejected += done.rejected.num_rows
        self.detections += done.detections
        self.reject_reasons.update(reason for reasons in done.rejected["reasons"].to_pylist() for reason in reasons)
        if done.accepted.num_rows:
            span = pc.min_max(done.accepted["event_ts"]).as_py()
            self.first_event_ts = min(span["min"], self.first_event_ts or span["min"])
            self.last_event_ts = max(span["max"], self.last_event_ts or span["max"])


@dataclass
class Workshop:
    """What all dumps of a landing are worked on with."""

    parser: Parser
    accepted: PartWriter
    rejected: PartWriter
    on_progress: Callable[[str, int], None]

    def land(self, dump: Dump, file_order: int) -> Tally:
        """Hands the dump's accepted and rejected records to the writers.

        Raises NotNow, and leaves nothing of the dump, when it changes while it is read: what was hashed would not be
        what has landed.
        """
        try:
            try:
                tally = self._read(dump, file_order)
            except Suspect:  # the parser may have died of a file before this one: only a new one can tell
                self._end(keep=False)
                tally = self._read(dump, file_order)
            if not dump.unchanged():
                raise NotNow("changed while it was landed: its upload is not complete")
        except NotNow:
            self._end(keep=False)
            raise
        self._end(keep=tally.reason is None)
        return tally

    def _read(self, dump: Dump, file_order: int) -> Tally:
        tally = Tally()
        try:
            with closing(self._written(self.parser.events(dump, file_order))) as pieces:
                for done in pieces:
                    tally.count(done)
                    self.on_progress(dump.file_name, tally.accepted + tally.rejected)
        except Unreadable as error:
            tally = Tally(reason=str(error))
        return tally

    def _written(self, pieces: Iterator[Processed]) -> Iterator[Processed]:
        """The pieces, which are written in their order while the next ones are awaited; at its end, all are."""
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1) as writer:
            for done in pieces:
                waiting.append(writer.submit(self._write, done))
                if len(waiting) > BEHIND:
                    waiting.popleft().result()
                yield done
            for written in waiting:
                written.result()

    def _write(self, done: Processed) -> None:
        self.accepted.add(done.accepted)
        self.rejected.add(done.rejected)

    def _end(self, keep: bool) -> None:
        self.accepted.end_dump(keep)
        self.rejected.end_dump(keep)

"""Kills a process at a chosen instant: before a change of the file system, after a model, or when its time is over."""

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events that change the file system → where in their arguments the paths stand, and their folders' descriptors.
CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.chmod": ((0, 2),),
    "os.truncate": ((0, None),),
}


@dataclass(frozen=True)
class Kill:
    """When to kill: at the so-many-th change, before it or (`opened`) when a file is open and nothing written to it yet;
    when so many models are finished; or after so many seconds. All null: never.
    """

    change: int | None = None
    opened: bool = False
    node: int | None = None
    seconds: float | None = None


class Watch:
    """Counts the changes that this process makes under a folder, and kills it, with all its children, when it is due.

    What native code writes is not seen; the folders around it are, and the clock meets it.
    """

    def __init__(self, folder: Path, kill: Kill, leave_out: tuple[str, ...]) -> None:
        self.kill, self.changes, self.nodes = kill, 0, 0
        self._folder, self._busy = os.fspath(folder) + os.sep, False
        self._left_out = tuple(self._folder + name + os.sep for name in leave_out)

    def begin(self) -> None:
        """From now on. An audit hook cannot be taken away again."""
        sys.addaudithook(self._heard)
        if self.kill.seconds is not None:
            timer = threading.Timer(self.kill.seconds, end_it_all)
            timer.daemon = True
            timer.start()

    def node_finished(self, *_: object) -> None:
        """For `on_progress` of a build."""
        self.nodes += 1
        if self.nodes == self.kill.node:
            end_it_all()

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy or (event != "open" and event not in CHANGES):
            return
        self._busy = True
        try:
            if self._is_ours(event, arguments):
                self.changes += 1
                if self.changes == self.kill.change:
                    if event == "open" and self.kill.opened:
                        os.close(os.open(arguments[0], arguments[2] & ~os.O_EXCL, 0o640))
                    end_it_all()
        finally:
            self._busy = False

    def _is_ours(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            paths = [arguments[0]] if isinstance(arguments[2], int) and arguments[2] & WRITES else []
        else:
            paths = [_full(arguments, *places) for places in CHANGES[event]]
        texts = [
            str(Path(os.fsdecode(path)).absolute()) for path in paths if isinstance(path, str | bytes | os.PathLike)
        ]
        return any(text.startswith(self._folder) and not text.startswith(self._left_out) for text in texts)


def _full(arguments: tuple[Any, ...], place: int, folder: int | None) -> Any:
    """The path, with the folder in which an open descriptor (-1: none) looks for it."""
    path = arguments[place]
    if folder is None or arguments[folder] in (-1, None) or not isinstance(path, str):
        return path
    return Path(f"/proc/self/fd/{arguments[folder]}").readlink() / path


def end_it_all() -> None:
    """kill -9 to this process's group."""
    os.killpg(0, signal.SIGKILL)

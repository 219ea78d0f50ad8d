"""One writer at a time: the lock that every command which changes a home holds while it runs.

Whoever holds it also knows that nobody else is at work: it clears away what a killed run left in the scratch folder.
"""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings

# What the house writes is for its owner to change and for its group to read: files 0640, folders 0750.
PRIVATE_UMASK = 0o027

# A folder that a process without the lock works in ends with its id.
OWNED = re.compile(r".*\.(?P<pid>[0-9]+)")


@contextmanager
def writing(settings: Settings, command: str, wait_seconds: float = 30.0) -> Iterator[None]:
    """Hold the home's write lock; released by the kernel when the process ends, however it ends.

    Files made while it is held are private to owner and group. Raises UsageWarehouseError, naming the holder, when another
    process keeps it longer than `wait_seconds`.
    """
    umask = os.umask(PRIVATE_UMASK)
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with (settings.home / ".lock").open("a+", encoding="utf-8") as handle:
            _acquire(handle, settings, time.monotonic() + wait_seconds)
            handle.seek(0)
            handle.truncate()
            json.dump({"pid": os.getpid(), "command": command}, handle)
            handle.flush()
            clear_scratch(settings)
            try:
                yield
            finally:
                clear_scratch(settings)
    finally:
        os.umask(umask)


def _acquire(handle: TextIO, settings: Settings, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise UsageWarehouseError(f"another run is writing to {settings.home}: {holder(settings)}") from None
            time.sleep(0.2)


def holder(settings: Settings) -> str:
    """Who holds the lock, or held it last: `{"pid": …, "command": …}`."""
    try:
        return (settings.home / ".lock").read_text(encoding="utf-8")
    except OSError:
        return "unknown"


def clear_scratch(settings: Settings) -> None:
    """Remove all work in progress but that of living readers. For the holder of the lock alone.

    What cannot be removed stays for the next run: the last writer of a killed run may not have ended yet.
    """
    for entry in settings.scratch.iterdir() if settings.scratch.is_dir() else ():
        owned = OWNED.fullmatch(entry.name)
        if owned and _is_alive(int(owned["pid"])):
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True

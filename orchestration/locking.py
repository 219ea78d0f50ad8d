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
from pathlib import Path
from typing import TextIO

from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings, tight_modes

# A folder that a process without the lock works in ends with its id.
OWNED = re.compile(r".*\.(?P<pid>[0-9]+)")


@contextmanager
def writing(settings: Settings, command: str, wait_seconds: float = 30.0) -> Iterator[None]:
    """Hold the home's write lock; released by the kernel when the process ends, however it ends. What is made
    meanwhile is closed to others.

    Raises UsageWarehouseError, naming the holder, when another process keeps it longer than `wait_seconds`.
    """
    with tight_modes(), _lock_file(settings) as handle:
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


@contextmanager
def undisturbed(home: Path) -> Iterator[None]:
    """Keep runs that write to the home waiting while a long read goes on, which would otherwise see one run's tables beside another's.

    Many readers at a time. Writes nothing. Raises UsageWarehouseError, naming the holder, where a run is writing right now.
    """
    lock = home / ".lock"
    if not lock.exists():  # nobody has ever written here
        yield
        return
    with lock.open(encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(home) from None
        yield


def holder(home: Path) -> str:
    """Who holds the lock, or held it last: `{"pid": …, "command": …}`."""
    try:
        return (home / ".lock").read_text(encoding="utf-8")
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


def _lock_file(settings: Settings) -> TextIO:
    settings.home.mkdir(parents=True, exist_ok=True)
    return (settings.home / ".lock").open("a+", encoding="utf-8")


def _acquire(handle: TextIO, settings: Settings, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _held(settings.home) from None
            time.sleep(0.2)


def _held(home: Path) -> UsageWarehouseError:
    return UsageWarehouseError(f"another run is writing to {home}: {holder(home)}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True

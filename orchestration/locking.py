"""One writer at a time: the lock that every command which changes a home holds while it runs."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings, tight_modes


@contextmanager
def writing(settings: Settings, command: str, wait_seconds: float = 30.0) -> Iterator[None]:
    """Hold the home's write lock; released by the kernel when the process ends, however it ends. What is made
    meanwhile is closed to others.

    Raises UsageWarehouseError, naming the holder, when another process keeps it longer than `wait_seconds`.
    """
    with tight_modes(), _lock_file(settings) as handle:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    handle.seek(0)
                    raise UsageWarehouseError(f"another run is writing to {settings.home}: {handle.read()}") from None
                time.sleep(0.2)
        handle.seek(0)
        handle.truncate()
        json.dump({"pid": os.getpid(), "command": command}, handle)
        handle.flush()
        yield


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
            raise UsageWarehouseError(f"another run is writing to {home}: {handle.read()}") from None
        yield


def _lock_file(settings: Settings) -> TextIO:
    settings.home.mkdir(parents=True, exist_ok=True)
    return (settings.home / ".lock").open("a+", encoding="utf-8")

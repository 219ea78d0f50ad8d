"""Which files a landing takes: event dumps, reference tables, and what it leaves alone and why."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from orchestration.errors import UsageWarehouseError
from orchestration.landing.batches import sha256_of
from orchestration.landing.reference_tables import TABLES
from orchestration.landing.result import Ignored
from orchestration.settings import Settings

COMPRESSIONS = ("gz", "zst")
COMPRESSIBLE = ("jsonl", "csv")
FORMATS = (*COMPRESSIBLE, "parquet")
UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".inprogress", "~")


class NotNow(Exception):
    """A file cannot be read now, or not as a whole: no landing of it, and the next one tries again. Says why."""


@dataclass(frozen=True)
class Dump:
    """A file to land. `file_name` is relative to the folder that was given; `table` is set for a reference table.

    `identity` tells the file from any other, and from itself with other content.
    """

    path: Path
    file_name: str
    sha256: str
    bytes: int
    format: str
    compression: str | None
    table: str | None
    identity: tuple[int, int, int, int]

    def unchanged(self) -> bool:
        """Is what was read what was hashed? It is, too, when the file was removed or replaced after it was opened."""
        try:
            now = identity(self.path.lstat())
        except FileNotFoundError:
            return True
        return now == self.identity or now[:2] != self.identity[:2]


def identity(state: os.stat_result) -> tuple[int, int, int, int]:
    """Device and inode, size and time of change."""
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)


def open_regular(path: Path) -> int:
    """A descriptor of the file. Raises NotNow for what is none (any more), or may not be read.

    A link is not followed, and a pipe that took the file's place does not block.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotNow(f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotNow("is no regular file any more")
    return descriptor


def find(settings: Settings, paths: list[Path] | None) -> tuple[list[Dump], list[Ignored], list[Ignored]]:
    """The files under the paths (default: the home's inbox), sorted by name and content; the files left alone, and
    those that cannot be read now.

    Raises UsageWarehouseError for a path that does not exist, or a file named directly that is nothing to land.
    """
    dumps: dict[Path, Dump] = {}
    ignored, postponed = [], []
    for found in _files(settings, paths):
        if found.path in dumps:
            continue
        if found.trouble:
            postponed.append(Ignored(found.name, found.trouble))
            continue
        shape = found.oddity or _shape(found.path.name)
        if not isinstance(shape, str):
            try:
                dumps[found.path] = _dump(found.path, found.name, *shape)
            except NotNow as error:
                postponed.append(Ignored(found.name, str(error)))
        elif found.named:
            raise UsageWarehouseError(f"cannot land {found.path}: {shape}")
        else:
            ignored.append(Ignored(found.name, shape))
    return sorted(dumps.values(), key=lambda dump: (dump.file_name, dump.sha256)), ignored, postponed


class _Found(NamedTuple):
    """A visible file: where it is, under which name it is recorded, and whether it was named directly.

    `oddity`: why it is nothing to land whatever it is called; `trouble`: why it cannot be looked at.
    """

    path: Path
    name: str
    named: bool = False
    oddity: str | None = None
    trouble: str | None = None


def _files(settings: Settings, paths: list[Path] | None) -> Iterator[_Found]:
    if paths is None:
        for room in (settings.inbox / "events", settings.inbox / "reference"):
            yield from _walk(room, settings.inbox, settings)
        return
    for path in map(Path, paths):
        if path.is_dir():
            yield from _walk(path, path, settings)
        elif path.is_file():
            yield _Found(path.resolve(), recorded_name(path.name), named=True)
        else:
            raise UsageWarehouseError(f"nothing to land at {path}: no such file or folder")


def _walk(folder: Path, root: Path, settings: Settings) -> Iterator[_Found]:
    """The visible files under a folder. Links are not followed: they could lead to anything that the house may read.
    The home's other rooms are nobody's dumps.
    """
    if not folder.is_dir():
        return
    closed: list[OSError] = []
    folder, root, home = folder.resolve(), root.resolve(), settings.home.resolve()
    for place, folders, names in os.walk(folder, onerror=closed.append):
        links = [name for name in folders if Path(place, name).is_symlink()]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and Path(place, name) != home)
        for name in sorted(names + links):
            if not name.startswith("."):
                path = Path(place, name)
                yield _Found(path, recorded_name(path.relative_to(root).as_posix()), oddity=_oddity(path))
    for error in closed:
        path = Path(error.filename)
        yield _Found(
            path, recorded_name(path.relative_to(root).as_posix()), trouble=f"cannot be read: {error.strerror}"
        )


def _oddity(path: Path) -> str | None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return None  # it has vanished, which opening it will tell
    if stat.S_ISLNK(mode):
        return "a symbolic link, which is not followed"
    return None if stat.S_ISREG(mode) else "no regular file"


def recorded_name(name: str) -> str:
    """A file's name as the house writes it down: bytes that are no UTF-8 are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _shape(name: str) -> tuple[str, str | None, str | None] | str:
    """Format, compression and reference table of a file by its name, or why it is left alone."""
    lower = name.lower()
    if lower.endswith(UNFINISHED):
        return "an unfinished upload"
    stem, _, last = lower.rpartition(".")
    compression = last if last in COMPRESSIONS else None
    if compression:
        stem, _, last = stem.rpartition(".")
    if last not in FORMATS or not stem:
        return "neither .jsonl, .csv nor .parquet"
    if compression and last not in COMPRESSIBLE:
        return f".{last} files are not read through .{compression}"
    table = stem if stem in TABLES and last != "jsonl" else None
    if table and compression:
        return f"a reference table is read from .csv or .parquet, not through .{compression}"
    return last, compression, table


def _dump(path: Path, file_name: str, format_: str, compression: str | None, table: str | None) -> Dump:
    descriptor = open_regular(path)
    try:
        before = identity(os.fstat(descriptor))
        digest = sha256_of(Path(f"/dev/fd/{descriptor}"))
        if identity(os.fstat(descriptor)) != before:
            raise NotNow("changed while it was read: its upload is not complete")
    except OSError as error:
        raise NotNow(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    return Dump(path, file_name, digest, before[2], format_, compression, table, before)

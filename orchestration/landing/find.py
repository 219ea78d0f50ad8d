"""Which files a landing takes: event dumps, reference tables, and what it leaves alone and why."""

import os
from dataclasses import dataclass
from pathlib import Path

from orchestration.errors import UsageWarehouseError
from orchestration.landing.batches import sha256_of
from orchestration.landing.reference_tables import TABLES
from orchestration.landing.result import Ignored
from orchestration.settings import Settings

COMPRESSIONS = ("gz", "zst")
COMPRESSIBLE = ("jsonl", "csv")
FORMATS = (*COMPRESSIBLE, "parquet")
UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".inprogress", "~")


@dataclass(frozen=True)
class Dump:
    """A file to land. `file_name` is relative to the folder that was given; `table` is set for a reference table."""

    path: Path
    file_name: str
    sha256: str
    bytes: int
    format: str
    compression: str | None
    table: str | None
    modified_ns: int

    def unchanged(self) -> bool:
        """Is the file still the one whose content was hashed?"""
        now = self.path.stat()
        return (now.st_size, now.st_mtime_ns) == (self.bytes, self.modified_ns)


def find(settings: Settings, paths: list[Path] | None) -> tuple[list[Dump], list[Ignored]]:
    """The files under the paths (default: the home's inbox), sorted by name and content, and the files left alone.

    Raises UsageWarehouseError for a path that does not exist, or a file named directly that is nothing to land.
    """
    dumps: dict[Path, Dump] = {}
    ignored = []
    for path, file_name, named in _files(settings, paths):
        if path.resolve() in dumps:
            continue
        shape = _shape(path.name)
        if isinstance(shape, str):
            if named:
                raise UsageWarehouseError(f"cannot land {path}: {shape}")
            ignored.append(Ignored(file_name, shape))
        else:
            dumps[path.resolve()] = _dump(path, file_name, *shape)
    return sorted(dumps.values(), key=lambda dump: (dump.file_name, dump.sha256)), ignored


def _files(settings: Settings, paths: list[Path] | None) -> list[tuple[Path, str, bool]]:
    """Every visible file with its recorded name and whether it was named directly."""
    if paths is None:
        rooms = [settings.inbox / "events", settings.inbox / "reference"]
        return [(path, path.relative_to(settings.inbox).as_posix(), False) for room in rooms for path in _walk(room)]
    files = []
    for path in map(Path, paths):
        if path.is_dir():
            files += [(inner, inner.relative_to(path).as_posix(), False) for inner in _walk(path)]
        elif path.is_file():
            files.append((path, path.name, True))
        else:
            raise UsageWarehouseError(f"nothing to land at {path}: no such file or folder")
    return files


def _walk(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in sorted(names) if not name.startswith(".")]
    return [path for path in found if path.is_file()]


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
    try:
        state = path.stat()
        digest = sha256_of(path)
    except OSError as error:
        raise UsageWarehouseError(f"cannot read {path}: {error.strerror}") from error
    return Dump(path, file_name, digest, state.st_size, format_, compression, table, state.st_mtime_ns)

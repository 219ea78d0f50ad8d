"""The home folder, the limits and the keys: read once from the environment, then handed around as one frozen value."""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration.errors import UsageWarehouseError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"


@dataclass(frozen=True)
class FileLimits:
    """What reading one foreign file may cost; a file beyond it is a rejected file, and the landing goes on.

    `memory_bytes`: of the process that parses it, beyond what that needs idle. `seconds`: without coming forward by
    one piece of the file (some megabytes), so that a large file may take as long as it takes. `expanded_bytes`: what
    a compressed file may unpack to, whatever its ratio (see readers/source.py for the limits by ratio).
    """

    memory_bytes: int = 4 * 10**9
    seconds: float = 300
    expanded_bytes: int = 256 * 10**9


@dataclass(frozen=True)
class Settings:
    """Where everything of one warehouse lives, and how much of the machine it may use.

    `home` is absolute. `memory_limit` is DuckDB's (`2GB`), `threads` the number of its threads.
    """

    home: Path
    memory_limit: str
    threads: int
    file_limits: FileLimits = FileLimits()

    @property
    def inbox(self) -> Path:
        return self.home / "inbox"

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def warehouse(self) -> Path:
        """dbt's working database; only one process at a time may hold it open."""
        return self.home / "warehouse.duckdb"

    @property
    def gates(self) -> Path:
        """Stored gate results (`results/*.json`), the page that shows them (`index.html`) and Data Docs (`data_docs/`)."""
        return self.home / "gates"

    @property
    def finalized(self) -> Path:
        return self.home / "finalized"

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def kept(self) -> Path:
        """What is large of what was published last, a database per audience: what the next publishing changes instead of writing all anew; safe to delete."""
        return self.home / ".kept"

    @property
    def shadow(self) -> Path:
        """What periods would come to by other prices, one file each, as the last shadow rating of the period found it."""
        return self.home / "shadow"

    @property
    def scratch(self) -> Path:
        """Work in progress; safe to delete whenever no command runs."""
        return self.home / ".scratch"

    @property
    def spill(self) -> Path:
        """Where DuckDB puts what memory does not hold: a folder per process, since two would write the same file names."""
        return self.scratch / f"spill.{os.getpid()}"

    def pii_key(self) -> bytes:
        """The key of the pseudonyms: `USAGE_PII_KEY`, else a random one made once and kept in the home (mode 0600).

        Raises UsageWarehouseError when the kept key is empty: anybody could undo the pseudonyms of an empty key.
        """
        from_environment = os.environ.get("USAGE_PII_KEY")
        if from_environment:
            return from_environment.encode()
        key_file = self.home / ".pii_key"
        if not key_file.exists():
            self._make_key(key_file)
        key = key_file.read_text().strip().encode()
        if not key:
            raise UsageWarehouseError(
                f"the key of the pseudonyms in {key_file} is empty: restore it, or set USAGE_PII_KEY"
            )
        return key

    def _make_key(self, key_file: Path) -> None:
        """A fresh key, whole or not at all: a killed run leaves no half key behind, and the key outlives a power cut."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        fresh = self.scratch / f"pii_key.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(secrets.token_hex(32))
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(fresh, key_file)  # fails if another process was first, whose key then counts
        except FileExistsError:
            pass
        finally:
            fresh.unlink()


def load_settings(home: Path | str | None = None) -> Settings:
    """Settings from the environment (`USAGE_HOME`, `USAGE_MEMORY_LIMIT`, `USAGE_THREADS`, `USAGE_FILE_MEMORY`,
    `USAGE_FILE_SECONDS`, `USAGE_FILE_EXPANDED`); `home` overrides the first.
    """
    chosen = Path(home or os.environ.get("USAGE_HOME") or "warehouse").expanduser().absolute()
    if chosen.exists() and not chosen.is_dir():
        raise UsageWarehouseError(f"the home {chosen} is not a folder")
    return Settings(
        home=chosen,
        memory_limit=os.environ.get("USAGE_MEMORY_LIMIT", "4GB"),
        threads=int(os.environ.get("USAGE_THREADS", str(os.cpu_count() or 1))),
        file_limits=_file_limits(),
    )


def _file_limits() -> FileLimits:
    defaults = FileLimits()
    return FileLimits(
        memory_bytes=_from_environment("USAGE_FILE_MEMORY", parse_size, defaults.memory_bytes),
        seconds=_from_environment("USAGE_FILE_SECONDS", _positive, defaults.seconds),
        expanded_bytes=_from_environment("USAGE_FILE_EXPANDED", parse_size, defaults.expanded_bytes),
    )


def _from_environment(name: str, parse: Callable[[str], Any], default: Any) -> Any:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return parse(text)
    except ValueError:
        raise UsageWarehouseError(f"{name} is {text!r}: it must be {_MEANT[parse]}") from None


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KIB": 1 << 10,
    "MIB": 1 << 20,
    "GIB": 1 << 30,
    "TIB": 1 << 40,
}


def parse_size(text: str) -> int:
    """A size as DuckDB writes it (`4GB`, `512MiB`) in bytes. Raises ValueError."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", text)
    if not found or found[2].upper() not in _UNITS or not float(found[1]):
        raise ValueError(text)
    return int(float(found[1]) * _UNITS[found[2].upper()])


def shown_size(size: int) -> str:
    """A size in bytes for people, in the largest decimal unit that leaves a number of at least one."""
    unit = max((unit for unit in ("B", "KB", "MB", "GB", "TB") if _UNITS[unit] <= size), key=_UNITS.get, default="B")
    return f"{size / _UNITS[unit]:.4g}{unit}"


_MEANT = {parse_size: "a size such as 4GB", _positive: "a number of seconds above 0"}


@contextmanager
def tight_modes() -> Iterator[None]:
    """What is made inside is closed to everybody but owner and group: folders 0750, files 0640, or tighter."""
    before = os.umask(0o077)
    os.umask(before | 0o027)
    try:
        yield
    finally:
        os.umask(before)


def parse_instant(text: str) -> datetime:
    """An ISO 8601 instant as an aware UTC datetime; a value without offset is taken as UTC."""
    try:
        instant = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise UsageWarehouseError(f"not an ISO 8601 time: {text!r}") from error
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def now(as_of: datetime | None = None) -> datetime:
    """`as_of` where given, else the clock: the one place that asks what time it is."""
    return as_of.astimezone(UTC) if as_of else datetime.now(UTC)

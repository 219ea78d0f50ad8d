"""The home folder, the limits and the keys: read once from the environment, then handed around as one frozen value."""

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestration.errors import UsageWarehouseError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"


@dataclass(frozen=True)
class Settings:
    """Where everything of one warehouse lives, and how much of the machine it may use.

    `home` is absolute. `memory_limit` is DuckDB's (`2GB`), `threads` the number of its threads.
    """

    home: Path
    memory_limit: str
    threads: int

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
    """Settings from the environment: `USAGE_HOME`, `USAGE_MEMORY_LIMIT`, `USAGE_THREADS`; `home` overrides the first."""
    chosen = Path(home or os.environ.get("USAGE_HOME") or "warehouse").expanduser().absolute()
    if chosen.exists() and not chosen.is_dir():
        raise UsageWarehouseError(f"the home {chosen} is not a folder")
    return Settings(
        home=chosen,
        memory_limit=os.environ.get("USAGE_MEMORY_LIMIT", "4GB"),
        threads=int(os.environ.get("USAGE_THREADS", str(os.cpu_count() or 1))),
    )


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

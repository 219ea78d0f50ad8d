"""What one landing did."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class FileResult:
    """One event dump of a batch, as in the manifest; status `rejected` with a reason when it is unreadable."""

    file_order: int
    file_name: str
    sha256: str
    bytes: int
    format: str
    compression: str | None
    status: str
    reason: str | None
    records: int
    accepted: int
    rejected: int
    first_event_ts: str | None
    last_event_ts: str | None


@dataclass(frozen=True)
class ReferenceResult:
    """One reference file: a new version (`landed`), or `refused` whole with every fault and version null."""

    table: str
    version: int | None
    file_name: str
    sha256: str
    status: str
    rows: int
    faults: list[str]


@dataclass(frozen=True)
class Known:
    """A file whose content has landed before; `note` says when that content is not in force any more."""

    file_name: str
    sha256: str
    batch_id: int
    note: str | None = None


@dataclass(frozen=True)
class Ignored:
    """A file that a landing left alone, and why."""

    file_name: str
    reason: str


@dataclass(frozen=True)
class LandingResult:
    """What one landing did; `batch_id` is null when nothing was new.

    `records`, `accepted` and `rejected` count event records of the batch; `reject_reasons` counts records per reason,
    one record under each of its reasons; `pii_detections` counts replaced values per kind. `ignored` are files that
    are nothing to land; `postponed` could not be read now, or were still being written: the next landing tries again.
    """

    batch_id: int | None
    landed_at: str
    files: list[FileResult] = field(default_factory=list)
    references: list[ReferenceResult] = field(default_factory=list)
    already_landed: list[Known] = field(default_factory=list)
    ignored: list[Ignored] = field(default_factory=list)
    postponed: list[Ignored] = field(default_factory=list)
    reject_reasons: dict[str, int] = field(default_factory=dict)
    pii_detections: dict[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        return sum(file.records for file in self.files)

    @property
    def accepted(self) -> int:
        return sum(file.accepted for file in self.files)

    @property
    def rejected(self) -> int:
        return sum(file.rejected for file in self.files)

    @property
    def rejected_files(self) -> list[FileResult]:
        """The dumps that could not be read."""
        return [file for file in self.files if file.status == "rejected"]

    @property
    def refused_references(self) -> list[ReferenceResult]:
        """The reference files that were refused; the versions before them stay in force."""
        return [reference for reference in self.references if reference.status == "refused"]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {
            "records": self.records,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "rejected_files": [asdict(file) for file in self.rejected_files],
        }

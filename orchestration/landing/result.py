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
class ReplayedFile(FileResult):
    """Rejected records of one dump that landed again: the dump as it landed first, with the counts of what is replayed.

    `replay_of`: the batch_id and file_order under which it landed first. Rows keep their numbers.
    """

    replay_of: dict[str, int]


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
class ReplayResult:
    """What one replay of rejected records did; `batch_id` is null when nothing landed (again).

    Of the `looked_at` records `already_replayed` had landed by an earlier replay and `replayed` are accepted now
    (`by_reason`: under each of the reasons they were rejected for). The others stay: `still_rejected` by today's
    reasons, one record under each of its own, or `not_replayable`, by why what is kept of them cannot be read again.
    """

    batch_id: int | None
    landed_at: str
    dry_run: bool
    looked_at: int
    already_replayed: int
    files: list[ReplayedFile]
    by_reason: dict[str, int]
    still_rejected: dict[str, int]
    not_replayable: dict[str, int]

    @property
    def replayed(self) -> int:
        return sum(file.records for file in self.files)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"replayed": self.replayed}


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

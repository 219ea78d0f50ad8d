"""What lies in the lake, as its batch manifests name it: the ground that a receipt rests on."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from orchestration.sealing import SEAL, is_sealed, json_bytes, without
from orchestration.settings import Settings

BATCH_FOLDER = re.compile(r"lake/(?:usage_events|rejected_events)/landed_date=[0-9-]{10}/batch=([0-9]+)/[^/]+")
REFERENCE_FOLDER = re.compile(r"lake/reference/([^/]+)/version=([0-9]+)/[^/]+")
MANIFEST = re.compile(r"lake/batches/batch=([0-9]+)\.json")


@dataclass(frozen=True)
class Ground:
    """What had landed up to a cutoff: lists of plain objects, ready for the receipt's JSON, in a fixed order."""

    manifests: list[dict]
    lake_files: list[dict]
    references: list[dict]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, read as a stream."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def byte_problem(path: Path, sha256: str) -> str | None:
    """What is wrong with a file that must have this hash; None when nothing is."""
    if not path.is_file() or path.is_symlink():
        return "is missing"
    return None if file_sha256(path) == sha256 else "its bytes have changed (SHA-256 differs from the receipt's)"


def manifest_paths(settings: Settings) -> dict[int, Path]:
    """batch_id → manifest file, in order."""
    found = {}
    for path in (settings.lake / "batches").glob("batch=*.json"):
        matched = MANIFEST.fullmatch(path.relative_to(settings.home).as_posix())
        if matched:
            found[int(matched[1])] = path
    return dict(sorted(found.items()))


def read_manifest(path: Path) -> dict:
    """A manifest as an object; raises ValueError when it is not one of ours."""
    raw = path.read_bytes()
    manifest = json.loads(raw)
    if not isinstance(manifest, dict) or f"batch={manifest.get('batch_id')}.json" != path.name:
        raise ValueError("it is not the manifest of the batch that its name says")
    if not is_sealed(raw, manifest):
        raise ValueError("it has changed since it was written (self_sha256 differs)")
    for part in ("lake_files", "references"):
        if not isinstance(manifest.get(part), list) or not all(isinstance(row, dict) for row in manifest[part]):
            raise ValueError(f"{part} is not a list of objects")
    return manifest


def manifest_sha256(manifest: dict) -> str:
    """The hash of what a batch brought. When it landed is left to the manifest's own seal, so that the same dumps, closed as of the
    same time, have the same receipt on whichever day they were landed."""
    return hashlib.sha256(json_bytes(without(manifest, "landed_at", SEAL))).hexdigest()


def manifest_problem(path: Path, sha256: str) -> str | None:
    """What is wrong with a manifest that a receipt names by this hash; None when nothing is."""
    if not path.is_file() or path.is_symlink():
        return "is missing"
    try:
        manifest = read_manifest(path)
    except (ValueError, TypeError) as error:
        return str(error)
    return None if manifest_sha256(manifest) == sha256 else "it says other than the receipt"


def ground(settings: Settings, cutoff_batch_id: int) -> Ground:
    """Everything that had landed by the cutoff, read from the manifests (not yet compared with the files)."""
    paths = {batch: path for batch, path in manifest_paths(settings).items() if batch <= cutoff_batch_id}
    batches = {batch: read_manifest(path) for batch, path in paths.items()}
    return Ground(
        manifests=[
            {
                "batch_id": batch,
                "path": path.relative_to(settings.home).as_posix(),
                "sha256": manifest_sha256(batches[batch]),
            }
            for batch, path in paths.items()
        ],
        lake_files=sorted(
            (
                {"path": file["path"], "sha256": file["sha256"], "rows": file["rows"]}
                for manifest in batches.values()
                for file in manifest["lake_files"]
            ),
            key=lambda file: file["path"],
        ),
        references=_in_force(batches),
    )


def _in_force(batches: dict[int, dict]) -> list[dict]:
    """Per reference table its latest landed version, over batches in order."""
    latest = {}
    for manifest in batches.values():
        for reference in manifest["references"]:
            if reference["status"] == "landed":
                latest[reference["table"]] = {part: reference[part] for part in ("table", "version", "sha256")}
    return [latest[table] for table in sorted(latest)]


def paths_on_disk(settings: Settings) -> list[str]:
    """Every file below the lake, relative to the home, in order."""
    return sorted(
        path.relative_to(settings.home).as_posix()
        for path in settings.lake.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )

"""Batches in the lake: what is there, the leftovers of a killed landing, and the commit of a new batch.

A batch is there when its manifest is. Everything is written under the home's scratch folder first, then moved into
the lake, and the manifest comes last. A landing killed before that leaves folders that no manifest names; the next
landing removes them.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestration.durable import sync
from orchestration.errors import UsageWarehouseError
from orchestration.sealing import seal
from orchestration.settings import Settings

_HASH_BLOCK = 1 << 20


def manifests(settings: Settings) -> list[dict[str, Any]]:
    """The manifests of all batches, by batch_id. Raises UsageWarehouseError on one that cannot be read."""
    found = []
    for path in (settings.lake / "batches").glob("batch=*.json"):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise UsageWarehouseError(f"the batch manifest {path} cannot be read: {error}") from error
    return sorted(found, key=lambda manifest: manifest["batch_id"])


def recover(settings: Settings) -> list[str]:
    """Removes what a killed landing left behind; the lake paths removed.

    Only the folders of the one batch, or reference version, that would have come next can be such leftovers. Any
    other without a manifest means that a manifest is lost: that raises UsageWarehouseError, and nothing is removed.
    """
    known = manifests(settings)
    leftovers = [*_loose_event_folders(settings, known), *_loose_versions(settings, known)]
    shutil.rmtree(staging(settings), ignore_errors=True)
    for folder in leftovers:
        shutil.rmtree(folder)
    return [folder.relative_to(settings.home).as_posix() for folder in leftovers]


def _loose_event_folders(settings: Settings, known: list[dict[str, Any]]) -> Iterator[Path]:
    next_batch = next_batch_id(known)
    committed = {manifest["batch_id"] for manifest in known}
    for kind in ("usage_events", "rejected_events"):
        for folder in sorted((settings.lake / kind).glob("landed_date=*/batch=*")):
            batch = _number(folder, "batch")
            if batch not in committed:
                yield _surely_left_over(folder, batch, next_batch, settings)


def _loose_versions(settings: Settings, known: list[dict[str, Any]]) -> Iterator[Path]:
    landed: dict[str, set[int]] = {}
    for reference in landed_references(known):
        landed.setdefault(reference["table"], set()).add(reference["version"])
    for folder in sorted((settings.lake / "reference").glob("*/version=*")):
        versions = landed.get(folder.parent.name, set())
        version = _number(folder, "version")
        if version not in versions:
            # one landing may bring several versions of a table
            yield _surely_left_over(folder, version, max(version or 0, max(versions, default=0) + 1), settings)


def _number(folder: Path, name: str) -> int | None:
    match = re.fullmatch(rf"{name}=([0-9]+)", folder.name)
    return int(match[1]) if match else None


def _surely_left_over(folder: Path, number: int | None, expected: int, settings: Settings) -> Path:
    if number == expected:
        return folder
    place = folder.relative_to(settings.home).as_posix()
    raise UsageWarehouseError(
        f"{place} belongs to no batch manifest and is no leftover of a killed landing: restore lake/batches"
    )


def next_batch_id(known: list[dict[str, Any]]) -> int:
    """One more than the last."""
    return max((manifest["batch_id"] for manifest in known), default=0) + 1


def landed_references(known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every landed version of every reference table, oldest first, each with its batch_id."""
    return [
        reference | {"batch_id": manifest["batch_id"]}
        for manifest in known
        for reference in manifest["references"]
        if reference["status"] == "landed"
    ]


def staging(settings: Settings) -> Path:
    """Where a landing writes until it commits; a mirror of the lake's folders."""
    return settings.scratch / "landing"


def commit(settings: Settings, manifest: dict[str, Any]) -> None:
    """Moves the staged files into the lake and lets the batch exist by its manifest, which gets its `lake_files` here.

    `manifest["lake_files"]` comes in as (path under staging, rows).
    """
    root = staging(settings)
    staged = sorted(manifest["lake_files"])
    manifest = manifest | {
        "lake_files": [
            {"path": f"lake/{path.relative_to(root).as_posix()}", "sha256": sha256_of(path), "rows": rows}
            for path, rows in staged
        ]
    }
    for path, _ in staged:
        sync(path)
    for folder in sorted({path.parent for path, _ in staged}):
        target = settings.lake / folder.relative_to(root)
        _make_folder(target.parent, settings.home)
        sync(folder)
        folder.rename(target)
        sync(target.parent)
    draft = root / "manifest.json"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_bytes(seal(manifest))
    sync(draft)
    final = settings.lake / "batches" / f"batch={manifest['batch_id']}.json"
    _make_folder(final.parent, settings.home)
    draft.replace(final)
    sync(final.parent)
    shutil.rmtree(root)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, read as a stream."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _make_folder(folder: Path, home: Path) -> None:
    """Makes the folder so that it outlives a power cut: each new level is synced in its parent."""
    if folder.exists():
        return
    if folder != home:
        _make_folder(folder.parent, home)
    folder.mkdir(parents=True, exist_ok=True)
    sync(folder.parent)

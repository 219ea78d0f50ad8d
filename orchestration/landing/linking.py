"""A second home on the same lake: its files up to a batch, linked one by one below folders of their own."""

import os
import shutil
from pathlib import Path

from orchestration.landing.batches import manifests
from orchestration.settings import Settings


def link_lake(settings: Settings, other: Settings, last_batch: int | None = None) -> None:
    """Give the home of `other` the lake as it stood after `last_batch` (default: as it stands).

    What lands in either home afterwards is not seen by the other: only files are shared, and files of a lake never change.
    """
    for manifest in manifests(settings):
        if last_batch is None or manifest["batch_id"] <= last_batch:
            paths = [file["path"] for file in manifest["lake_files"]]
            for path in (*paths, f"lake/batches/batch={manifest['batch_id']}.json"):
                link_file(settings.home / path, other.home / path)


def link_file(file: Path, link: Path) -> None:
    """The same bytes at a second place: a hard link, or a copy where the places are on two file systems."""
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, link)
    except OSError:
        shutil.copy2(file, link)

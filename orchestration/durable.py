"""What has to outlive a power cut: files and folders whose bytes and names are on the disk before anything rests on them."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

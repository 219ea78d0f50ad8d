"""Who may read and write what a home holds, and what lies more open than that."""

import stat
from pathlib import Path

FOLDERS, FILES, RECEIPTS, KEY = 0o750, 0o640, 0o440, 0o600


def too_open(home: Path) -> list[str]:
    """Paths with more rights than they may have; the inbox's are its producers'."""
    found = []
    for path in [home, *sorted(home.rglob("*"))]:
        name, mode = path.relative_to(home).as_posix(), stat.S_IMODE(path.lstat().st_mode)
        allowed = FOLDERS if path.is_dir() else KEY if name == ".pii_key" else FILES
        if name.startswith("finalized/") and path.is_file():
            allowed = RECEIPTS
        if mode & ~allowed and not name.startswith("inbox"):
            found.append(f"{name} {mode:o}")
    return found

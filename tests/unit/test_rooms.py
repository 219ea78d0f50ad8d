"""The house's plan holds: a room imports only from rooms before it, and by their doors or modules, never from the wiring."""

import ast
from pathlib import Path

from orchestration.settings import PROJECT_ROOT

# Front to back.
ORDER = [
    "errors",
    "settings",
    "durable",
    "sealing",
    "child",
    "locking",
    "landing",
    "warehouse",
    "gates",
    "closing",
    "publishing",
    "operations",
    "summary",
    "scheduling",
]
WIRING = {"cli", "definitions"}


def imported_rooms(file: Path) -> set[str]:
    """The rooms of orchestration that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "orchestration":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("orchestration."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("orchestration.")}
    return found


def test_a_room_imports_only_from_rooms_before_it() -> None:
    faults = []
    for file in sorted((PROJECT_ROOT / "orchestration").rglob("*.py")):
        room = file.relative_to(PROJECT_ROOT / "orchestration").parts[0].removesuffix(".py")
        if room in WIRING or room == "__init__":
            continue
        assert room in ORDER, f"{room} has no place in the house: add it to ORDER, and to the README"
        later = {
            name for name in imported_rooms(file) - {room} if name in WIRING or ORDER.index(name) > ORDER.index(room)
        }
        faults += [f"{file.relative_to(PROJECT_ROOT)} imports {name}" for name in sorted(later)]
    assert faults == []

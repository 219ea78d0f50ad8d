"""One reader per format, in two steps: `pieces` cuts a dump up as it streams by, `parse` makes a chunk of text of a
piece.

Cutting is sequential and cheap; parsing is where the work is, and pieces can be parsed side by side.
"""

from types import ModuleType

from orchestration.landing.readers import csv_rows, jsonl, parquet
from orchestration.landing.readers.source import Unreadable

READERS: dict[str, ModuleType] = {"jsonl": jsonl, "csv": csv_rows, "parquet": parquet}

__all__ = ["READERS", "Unreadable"]

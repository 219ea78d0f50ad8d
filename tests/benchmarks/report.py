"""What came out, as rows: for the terminal, for JSON, and for the README."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One measured thing. `ratio` is told `of` something measured in the same run; `target` bounds it, or the seconds where there is none."""

    part: str
    what: str
    seconds: float | None = None
    peak_bytes: int | None = None
    ratio: float | None = None
    of: str | None = None
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def judged(self) -> float | None:
        return self.ratio if self.ratio is not None else self.seconds

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.judged is None or (self.at_most is None and self.at_least is None):
            return None
        return (self.at_most is None or self.judged <= self.at_most) and (
            self.at_least is None or self.judged >= self.at_least
        )

    @property
    def target(self) -> str:
        unit = "" if self.ratio is not None else " s"
        if self.at_most is not None:
            return f"≤ {self.at_most:g}{unit}"
        return f"≥ {self.at_least:g}{unit}" if self.at_least is not None else ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"target": self.target, "met": self.met}

    def cells(self) -> list[str]:
        """As shown: part, what, seconds, memory, ratio, of, target, note."""
        return [
            self.part,
            self.what,
            _seconds(self.seconds),
            "" if self.peak_bytes is None else f"{self.peak_bytes / 1e9:.2f} GB",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.of or "",
            self.target + {True: " ✓", False: " ✗", None: ""}[self.met],
            self.note,
        ]


HEADINGS = ("part", "what", "median", "peak memory", "ratio", "of", "target", "note")


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.5 else f"{seconds:.1f} s"


def as_table(rows: list[Row]) -> Table:
    table = Table(*HEADINGS)
    for heading in ("median", "peak memory", "ratio"):
        table.columns[HEADINGS.index(heading)].justify = "right"
    part = None
    for row in rows:
        if part not in (None, row.part):
            table.add_section()
        part = row.part
        table.add_row(*row.cells(), style="red" if row.met is False else None)
    return table


def as_markdown(rows: list[Row]) -> str:
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def as_json(scale: dict[str, Any], rows: list[Row]) -> str:
    return json.dumps({**scale, "rows": [row.as_dict() for row in rows]}, indent=1, ensure_ascii=False) + "\n"


def show(rows: list[Row]) -> None:
    """The table on the terminal; a pipe gets it in full width."""
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(as_table(rows))

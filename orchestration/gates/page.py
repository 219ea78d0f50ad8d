"""The page of the gates: per period what ran last and what came of it, as one static file.

It needs nothing but a browser: no script and nothing from the web, so it reads the same on a machine without internet.
`render` is a pure function of stored results; the same results give the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchestration.gates.instants import as_text
from orchestration.gates.offline import validation_page
from orchestration.gates.storing import read_last_runs, write_whole
from orchestration.settings import Settings

RUNS_PER_PERIOD = 10

HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Gates</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.4 sans-serif; margin: 1.5em 2em; }
table { border-collapse: collapse; margin: .5em 0 1em; }
td, th { border: 1px solid #8886; padding: .2em .6em; text-align: left; vertical-align: top; }
th { background: #8882; }
td { min-width: 2.5em; }
td.number { text-align: right; }
td.text { min-width: 9em; }
tr.failed { background: #f002; }
tr.waived { background: #fa03; }
td.told { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 38em; }
</style>
</head>
<body>
<h1>Gates</h1>
"""
FOOT = "</body>\n</html>\n"


@dataclass(frozen=True)
class ShownRun:
    """One stored run. `docs`: where each suite has its page in the Data Docs, relative to this page, if it has one."""

    cutoff_batch_id: int
    checked_at: datetime
    rows: tuple[dict[str, Any], ...]
    docs: Mapping[str, str]

    def count(self, state: str) -> int:
        """How many gates are in a state: `passed`, `waived` or `failed`."""
        return sum(_state(row) == state for row in self.rows)


def write_page(settings: Settings) -> Path:
    """Write the page of all stored results. Raises UsageWarehouseError if one of them cannot be read."""
    path = settings.gates / "index.html"
    write_whole(path, render(_read_shown(settings)))
    return path


def _read_shown(settings: Settings) -> dict[str, list[ShownRun]]:
    return {
        period: [
            ShownRun(cutoff, run.checked_at, run.rows, _docs(settings, period, cutoff, run.checked_at, run.rows))
            for cutoff, run in runs
        ]
        for period, runs in read_last_runs(settings, RUNS_PER_PERIOD).items()
    }


def _docs(
    settings: Settings, period: str, cutoff: int, checked_at: datetime, rows: Iterable[dict[str, Any]]
) -> dict[str, str]:
    """Old runs are forgotten by the Data Docs, and a suite that crashed has no page: only what exists is linked."""
    pages = {suite: validation_page(period, cutoff, checked_at, suite) for suite in _suites(rows)}
    return {suite: page for suite, page in pages.items() if (settings.gates / page).is_file()}


def render(periods: Mapping[str, Sequence[ShownRun]]) -> str:
    """The page. `periods` gives each billing period its last runs, newest first; the latest period is shown first."""
    shown = [(period, periods[period]) for period in sorted(periods, reverse=True) if periods[period]]
    if not shown:
        return HEAD + "<p>No gate has run yet.</p>\n" + FOOT
    return HEAD + _overview(shown) + "".join(_period(period, runs) for period, runs in shown) + FOOT


def _overview(shown: Sequence[tuple[str, Sequence[ShownRun]]]) -> str:
    rows = [_row([_cell(_link(f"#{period}", period)), *_run_cells(runs[0])], _worst(runs[0])) for period, runs in shown]
    return "<p>The last run of each billing period:</p>\n" + _table(["period", *RUN_COLUMNS], rows)


def _period(period: str, runs: Sequence[ShownRun]) -> str:
    last = runs[0]
    history = [_row([*_run_cells(run), _cell(_doc_links(run))], _worst(run)) for run in runs]
    return (
        f'<h2 id="{escape(period)}">{escape(period)}</h2>\n'
        f"<p>Last {len(runs)} run(s), newest first:</p>\n"
        + _table([*RUN_COLUMNS, "Data Docs"], history)
        + f"<p>Gates of the last run, {escape(as_text(last.checked_at))} at batch {last.cutoff_batch_id}:</p>\n"
        + _table(GATE_COLUMNS, [_gate(row, last) for row in last.rows])
    )


RUN_COLUMNS = ("checked at", "cutoff batch", "passed", "failed", "waived")
GATE_COLUMNS = ("gate", "suite", "passed", "observed", "limit", "waived", "detail")


def _run_cells(run: ShownRun) -> list[str]:
    numbers = (run.cutoff_batch_id, run.count("passed"), run.count("failed"), run.count("waived"))
    return [_cell(escape(as_text(run.checked_at))), *(_cell(str(number), "number") for number in numbers)]


def _doc_links(run: ShownRun) -> str:
    return ", ".join(_suite(suite, run) for suite in _suites(run.rows))


def _gate(row: dict[str, Any], run: ShownRun) -> str:
    cells = [
        _cell(escape(row["gate"])),
        _cell(_suite(row["suite"], run)),
        _cell("yes" if row["passed"] is True else "no"),
        _cell(escape(str(row["observed"])), "text"),
        _cell(escape(str(row["limit"])), "text"),
        _cell(escape(", ".join(row["waived_by"])) if row["waived"] is True else "no"),
        _cell(escape(row["detail"]), "told"),  # it lists the breaking rows, their keys first
    ]
    return _row(cells, _state(row))


def _state(row: dict[str, Any]) -> str:
    if row["passed"] is True:
        return "passed"
    return "waived" if row["waived"] is True else "failed"


def _worst(run: ShownRun) -> str:
    return next((state for state in ("failed", "waived") if run.count(state)), "passed")


def _suites(rows: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["suite"] for row in rows))


def _suite(suite: str, run: ShownRun) -> str:
    return _link(quote(run.docs[suite]), suite) if suite in run.docs else escape(suite)


def _link(target: str, text: str) -> str:
    return f'<a href="{escape(target)}">{escape(text)}</a>'


def _cell(content: str, style: str = "") -> str:
    """A table cell; `content` is HTML already."""
    return f'<td class="{style}">{content}</td>' if style else f"<td>{content}</td>"


def _row(cells: Sequence[str], state: str = "") -> str:
    return (f'<tr class="{state}">' if state else "<tr>") + "".join(cells) + "</tr>\n"


def _table(columns: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    return f"<table>\n<tr>{head}</tr>\n{''.join(rows)}</table>\n"

"""What a person sees of a command: progress while it runs on a terminal, a readable summary at its end."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from orchestration.settings import Settings

OUT = Console(width=None if sys.stdout.isatty() else 180)  # a log file is no narrow terminal
ERR = Console(stderr=True)

# How many accounts a summary lists; the mart has all.
ROWS_SHOWN = 20

# Queries that finance can paste, on the published file.
FINANCE_QUERIES = (
    (
        "What does each account owe, per period?",
        "select billing_period, account_id, currency_code, amount, status from billing.invoices order by all;",
    ),
    (
        "Where do we differ from the ledger, and why?",
        "select billing_period, account_id, sku, difference_amount, currency_code, cause\n"
        "from finance.ledger_reconciliation where status = 'break' order by billing_period, abs(difference_amount) desc;",
    ),
    (
        "What is used but billed to nobody, and what is it worth?",
        "select key_type, key_value, sku, sum(quantity) as quantity, sum(amount_at_risk) as amount_at_risk, currency_code\n"
        "from usage.unattributed_usage group by all order by amount_at_risk desc nulls last;",
    ),
)


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str, int], None] | None]:
    """A reporter of (what, how far) as one status line on the terminal; nothing where there is none or `quiet`."""
    if quiet or not ERR.is_terminal:
        yield None
        return
    with ERR.status("starting") as line:
        yield lambda what, count: line.update(escape(f"{what} {count:,}" if count else what))


def show(command: str, settings: Settings, result: dict[str, Any]) -> None:
    """Print the summary of a command's result."""
    SUMMARIES.get(command, _plain)(settings, result)


def queries(settings: Settings) -> None:
    """Print the queries that finance can paste, and how to open what they ask."""
    OUT.print(
        f"\nFinance opens the published file with any DuckDB, e.g.  .venv/bin/duckdb -readonly {settings.published / 'finance.duckdb'}",
        soft_wrap=True,
    )
    for question, query in FINANCE_QUERIES:
        OUT.print(f"\n-- {question}\n{query}", markup=False, highlight=False, soft_wrap=True)


def table(title: str, rows: list[dict[str, Any]], columns: list[str] | None = None) -> None:
    """Rows as a table; numbers to the right. Nothing where there are no rows."""
    if not rows:
        return
    names = columns or list(rows[0])
    grid = Table(title=title, title_justify="left", header_style="bold")
    for name in names:
        numeric = all(isinstance(row.get(name), int | Decimal) or row.get(name) is None for row in rows)
        grid.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(_cell(row.get(name))) for name in names))  # no markup: a cell may hold a file's name
    OUT.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        text = f"{value:,f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _land(settings: Settings, result: dict[str, Any]) -> None:
    if result["batch_id"] is None:
        OUT.print(f"Nothing new: {len(result['already_landed'])} files had landed before.")
    else:
        OUT.print(
            f"Batch {result['batch_id']}: {len(result['files']):,} dumps, {result['records']:,} records, "
            f"{result['accepted']:,} accepted, {result['rejected']:,} rejected."
        )
    table("Rejected, by reason", [{"reason": k, "records": v} for k, v in sorted(result["reject_reasons"].items())])
    table("Rejected files", [row for row in result["files"] if row["status"] == "rejected"], ["file_name", "reason"])
    table("Files for the next landing", result["postponed"], ["file_name", "reason"])
    table("Reference tables", result["references"], ["table", "version", "status", "rows", "file_name"])
    for entry in result["references"]:
        for fault in entry["faults"]:
            OUT.print(f"  refused {entry['file_name']}: {fault}", markup=False)


def _build(settings: Settings, result: dict[str, Any]) -> None:
    OUT.print(
        f"Built {result['models']} models, {result['tests'] - len(result['warnings'])} tests passed, in {result['seconds']} s."
    )
    for name in result["warnings"]:
        OUT.print(f"  warning: {name}", markup=False)


def _nightly(settings: Settings, result: dict[str, Any]) -> None:
    _land(settings, result["landed"])
    _build(settings, result["build"])
    _state(settings)


def _month_end(settings: Settings, result: dict[str, Any]) -> None:
    if result["already_final"]:
        OUT.print(f"{result['billing_period']} was closed before; its figures are unchanged.")
    else:
        OUT.print(f"{result['billing_period']} is final. Receipt: {result['receipt']}", soft_wrap=True)
    _state(settings)


def _state(settings: Settings) -> None:
    from orchestration import operations

    _status(settings, operations.status(settings))


def _status(settings: Settings, state: dict[str, Any]) -> None:
    table("Batches", state["batches"])
    table("Periods", state["periods"])
    table("Service levels", state["slis"])
    OUT.print("To open next:")
    for path in state["paths"]:
        OUT.print(f"  {path}", markup=False, soft_wrap=True)


def _verify(settings: Settings, result: dict[str, Any]) -> None:
    if result["ok"]:
        OUT.print("Every receipt holds: files, hash chain, lake, recomputation.")
    for problem in result["problems"]:
        OUT.print(f"  {problem}", markup=False, soft_wrap=True)


def _explain(settings: Settings, result: dict[str, Any]) -> None:
    table(
        "Line",
        [result["line"]],
        [
            "line_id",
            "billing_period",
            "account_id",
            "sku",
            "region",
            "quantity",
            "unit",
            "amount",
            "currency_code",
            "status",
        ],
    )
    for name in ("tiers", "rests_on", "days", "hours", "batches", "files", "events"):
        if name in result:
            table(name.capitalize().replace("_", " "), result[name])
    OUT.print("Every step adds up exactly." if result["adds_up"] else "The steps do NOT add up to the line.")


def _export(settings: Settings, result: dict[str, Any]) -> None:
    for path in result["written"]:
        OUT.print(path, markup=False, soft_wrap=True)


def _shadow_rate(settings: Settings, result: dict[str, Any]) -> None:
    OUT.print(f"{result['billing_period']} by the other prices: {result['accounts_changed']:,} account(s) change.")
    table("Total", result["totals"])
    changed = [row for row in result["accounts"] if row["difference_amount"]]
    changed.sort(key=lambda row: row["difference_amount"].copy_abs(), reverse=True)
    table(f"Accounts, by difference ({min(len(changed), ROWS_SHOWN)} of {len(changed)})", changed[:ROWS_SHOWN])
    for warning in result["warnings"]:
        OUT.print(f"  warning: {warning}", markup=False)
    OUT.print("Every account and SKU: billing.shadow_rating. Nothing that is billed has changed.")


def _compare(settings: Settings, result: dict[str, Any]) -> None:
    counts = ("mart", "rows_here", "rows_there", "only_here", "only_there", "differing", "within_tolerance")
    table(
        f"Against {result['against']}, tolerance {result['tolerance']:f}",
        [{name: mart[name] for name in counts} | _largest(mart["largest"]) for mart in result["marts"]],
    )
    columns = ("columns_only_here", "columns_only_there", "columns_of_other_type")
    for mart in result["marts"]:
        for name in columns:
            if mart[name]:
                OUT.print(f"  {mart['mart']}: {name.replace('_', ' ')}: {', '.join(mart[name])}", markup=False)
    for name in ("marts_only_here", "marts_only_there"):
        if result[name]:
            OUT.print(f"  {name.replace('_', ' ')}: {', '.join(result[name])}", markup=False)
    OUT.print("Equal within the tolerance." if result["equal"] else "NOT equal within the tolerance.")


def _largest(largest: dict[str, Any] | None) -> dict[str, Any]:
    """The cells of a mart's largest difference; empty where nothing differs."""
    if largest is None:
        return {"largest_difference": None, "of": "", "in": ""}
    key = ", ".join(_cell(value) for value in largest["key"].values())
    return {"largest_difference": largest["difference"], "of": largest["column"], "in": key}


def _plain(settings: Settings, result: dict[str, Any]) -> None:
    OUT.print(result)


SUMMARIES: dict[str, Callable[[Settings, dict[str, Any]], None]] = {
    "land": _land,
    "build": _build,
    "nightly": _nightly,
    "month_end": _month_end,
    "status": _status,
    "verify": _verify,
    "explain": _explain,
    "export": _export,
    "shadow_rate": _shadow_rate,
    "compare": _compare,
}

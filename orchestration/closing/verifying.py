"""`verify`: read every receipt again and say everything that no longer matches, file by file and period by period."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb

from orchestration.closing.canonical import content_sha256
from orchestration.closing.database import check_period, scratch_connection
from orchestration.closing.lakechecks import lake_problems
from orchestration.closing.lakefiles import byte_problem
from orchestration.closing.receipts import (
    FILE_NAME,
    Receipt,
    chain_problems,
    closed_periods,
    folder_of,
    is_period_folder,
    read_receipt,
)
from orchestration.closing.recomputing import recompute as recompute_from_lake
from orchestration.closing.tables import parquet_rows
from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings

Recompute = Callable[[Settings, Receipt], list[str]]


@dataclass(frozen=True)
class VerifyResult:
    """What was checked and what is wrong. `problems` is empty exactly when `ok`; each names its file and its period."""

    ok: bool
    problems: list[str]
    periods: list[str]
    frozen_files: int = 0
    lake_files: int = 0
    recomputed: list[str] = field(default_factory=list)

    def as_dict(self) -> dict:
        """The result as plain JSON values."""
        return asdict(self)


def verify(
    settings: Settings,
    billing_period: str | None = None,
    recompute: bool = True,
    recomputation: Recompute = recompute_from_lake,
) -> VerifyResult:
    """Check the receipts of all closed periods, or of one (with the chain over all of them, in either case).

    `recompute` also rebuilds each period from the lake (`recomputation(settings, receipt)` returns problems). Raises
    UsageWarehouseError when the period asked for was never closed.
    """
    receipts, unreadable = _read_receipts(settings)
    _refuse_unknown(settings, billing_period, receipts, unreadable)
    chosen = [receipt for receipt in receipts if billing_period in (None, receipt.period)]
    problems = list(unreadable.values()) + _strangers(settings) + chain_problems(receipts)
    problems += _anchor_problems(settings, receipts, unreadable)
    sound = []
    with scratch_connection(settings) as connection:
        for receipt in chosen:
            found = list(_frozen_problems(connection, settings, receipt))
            sound += [] if found else [receipt]
            problems += found
        ground_problems, lake_files = lake_problems(connection, settings, chosen)
    problems += ground_problems
    if recompute:
        problems += [problem for receipt in sound for problem in recomputation(settings, receipt)]
    return VerifyResult(
        ok=not problems,
        problems=problems,
        periods=[receipt.period for receipt in chosen],
        frozen_files=sum(len(receipt.body["tables"]) for receipt in chosen),
        lake_files=lake_files,
        recomputed=[receipt.period for receipt in sound] if recompute else [],
    )


def _read_receipts(settings: Settings) -> tuple[list[Receipt], dict[str, str]]:
    """The receipts that can be trusted to say what they say, and period → problem of those that cannot."""
    receipts, unreadable = [], {}
    for period in closed_periods(settings):
        try:
            receipts.append(read_receipt(settings, period))
        except ValueError as error:
            unreadable[period] = f"{period}: {folder_of(settings, period).name}/{FILE_NAME} {error}"
    return receipts, unreadable


def _refuse_unknown(
    settings: Settings, billing_period: str | None, receipts: list[Receipt], unreadable: dict[str, str]
) -> None:
    if billing_period is None:
        return
    check_period(billing_period)
    known = {receipt.period for receipt in receipts} | unreadable.keys() | {row[1] for row in _anchors(settings)}
    if billing_period not in known:
        raise UsageWarehouseError(f"{billing_period} is not final: there is nothing to verify")


def _strangers(settings: Settings) -> list[str]:
    """Entries of finalized/ that are no closed period."""
    entries = sorted(settings.finalized.iterdir()) if settings.finalized.is_dir() else []
    return [f"finalized/{entry.name}: belongs to no closed period" for entry in entries if not is_period_folder(entry)]


# --- what the marts say ---------------------------------------------------------------------------------------------


def _anchors(settings: Settings) -> list[tuple[str, str, str]]:
    """(file, period, receipt SHA-256) of the periods that the warehouse and the published files call final.

    They remember a receipt that has been deleted. A file that is missing or cannot be opened remembers nothing.
    """
    found = []
    for file in (settings.warehouse, settings.published / "finance.duckdb", settings.published / "analyst.duckdb"):
        if not file.exists():
            continue
        try:
            with duckdb.connect(str(file), read_only=True) as connection:
                rows = connection.execute(
                    "select billing_period, receipt_sha256 from billing.billing_periods "
                    "where status = 'final' and receipt_sha256 is not null order by all"
                ).fetchall()
        except duckdb.Error:
            continue
        found += [(file.relative_to(settings.home).as_posix(), *row) for row in rows]
    return found


def _anchor_problems(settings: Settings, receipts: list[Receipt], unreadable: dict[str, str]) -> list[str]:
    hashes = {receipt.period: receipt.sha256 for receipt in receipts}
    problems = []
    for file, period, sha256 in _anchors(settings):
        if period not in hashes and period not in unreadable:
            problems.append(f"{period}: {file} says that it is final, but finalized/period={period} is missing")
        elif period in hashes and hashes[period] != sha256:
            problems.append(f"{period}: {file} names another {FILE_NAME} than finalized/period={period} holds")
    return problems


# --- the frozen tables ----------------------------------------------------------------------------------------------


def _frozen_problems(connection: duckdb.DuckDBPyConnection, settings: Settings, receipt: Receipt) -> Iterator[str]:
    folder = receipt.path.parent
    where = f"{receipt.period}: {folder.relative_to(settings.home).as_posix()}"
    named = {entry["file"] for entry in receipt.body["tables"]} | {FILE_NAME}
    for entry in sorted(folder.iterdir()):
        if entry.name not in named:
            yield f"{where}/{entry.name}: is not named by the receipt"
    for entry in receipt.body["tables"]:
        file = folder / entry["file"]
        problem = byte_problem(file, entry["file_sha256"]) or _content_problem(connection, file, entry)
        if problem:
            yield f"{where}/{entry['file']}: {problem}"


def _content_problem(connection: duckdb.DuckDBPyConnection, file: Path, entry: dict) -> str | None:
    """Rows and content hash. Only for files whose bytes are the receipt's: a corrupt one could crash the process."""
    try:
        rows, content = content_sha256(connection, parquet_rows(file))
    except duckdb.Error as error:
        return f"cannot be read: {str(error).splitlines()[0]}"
    if rows != entry["rows"]:
        return f"holds {rows} rows, the receipt says {entry['rows']}"
    return None if content == entry["content_sha256"] else "its content hash differs from the receipt's"

"""The receipt of a closed period: its form, its bytes, and the chain in which each receipt names the one before it.

A receipt carries the SHA-256 of its own other fields (`self_sha256`), so that a changed byte shows even in the newest
one, which no later receipt vouches for. The chain runs in the order of closing: the order of the periods, unless usage
of a month that nobody had closed turns up after later months were.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from orchestration.closing.database import PERIOD
from orchestration.closing.tables import FROZEN_TABLES
from orchestration.errors import UsageWarehouseError
from orchestration.sealing import is_sealed
from orchestration.settings import Settings

RECEIPT_VERSION = 1
FILE_NAME = "receipt.json"
SHA256 = re.compile(r"[0-9a-f]{64}")
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z")

# field → (type, fields of its objects); every field must be there, and no other
FORM = {
    "receipt_version": (int, None),
    "billing_period": (str, None),
    "cutoff_batch_id": (int, None),
    "finalized_at": (str, None),
    "project_version": (str, None),
    "tables": (list, {"table": str, "file": str, "rows": int, "file_sha256": str, "content_sha256": str}),
    "manifests": (list, {"batch_id": int, "path": str, "sha256": str}),
    "lake_files": (list, {"path": str, "sha256": str, "rows": int}),
    "references": (list, {"table": str, "version": int, "sha256": str}),
    "gates": (list, None),
    "waivers": (list, None),
    "previous_receipt": ((dict, type(None)), {"billing_period": str, "sha256": str}),
    "self_sha256": (str, None),
}


@dataclass(frozen=True)
class Receipt:
    """One receipt as read from disk. `sha256` is that of the file's bytes: what the next receipt names."""

    period: str
    path: Path
    sha256: str
    body: dict

    @property
    def cutoff(self) -> int:
        return self.body["cutoff_batch_id"]

    def entry(self, table: str) -> dict:
        """What this receipt says of a frozen table."""
        return next(entry for entry in self.body["tables"] if entry["table"] == table)

    def table_file(self, table: str) -> Path:
        """Where a frozen table of this receipt lies."""
        return self.path.parent / self.entry(table)["file"]


def folder_of(settings: Settings, billing_period: str) -> Path:
    """The folder of a closed period, whether it exists or not."""
    return settings.finalized / f"period={billing_period}"


def closed_periods(settings: Settings) -> list[str]:
    """Periods that have a folder under finalized/, in order."""
    folders = settings.finalized.glob("period=*") if settings.finalized.is_dir() else []
    return sorted(path.name.removeprefix("period=") for path in folders)


def read_receipt(settings: Settings, billing_period: str) -> Receipt:
    """One receipt. Raises ValueError with what is wrong when it is missing, not ours, or not as it was written."""
    path = folder_of(settings, billing_period) / FILE_NAME
    if not path.is_file() or path.is_symlink():
        raise ValueError("is missing")
    raw = path.read_bytes()
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from error
    problems = form_problems(body, billing_period)
    if not problems and not is_sealed(raw, body):
        problems = ["has changed since it was written (self_sha256 differs)"]
    if problems:
        raise ValueError("; ".join(problems))
    return Receipt(billing_period, path, hashlib.sha256(raw).hexdigest(), body)


def form_problems(body: object, billing_period: str) -> list[str]:
    """What is wrong with a receipt's form: pure, on the parsed JSON."""
    if not isinstance(body, dict):
        return ["is not a JSON object"]
    problems = [f"lacks {field}" for field in FORM if field not in body]
    problems += [f"has an unknown field {field}" for field in body if field not in FORM]
    problems += [
        problem
        for field, form in FORM.items()
        if field in body
        for problem in _value_problems(field, body[field], *form)
    ]
    return problems or _meaning_problems(body, billing_period)


def _value_problems(field: str, value: object, kind: type | tuple, inner: dict | None) -> list[str]:
    if not isinstance(value, kind) or isinstance(value, bool):
        return [f"has a {field} of the wrong type"]
    rows = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
    if not all(isinstance(row, dict) for row in rows):
        return [f"has a {field} that does not hold objects"]
    if inner is None:
        return []
    return [
        f"has an entry of {field} whose fields are not {', '.join(inner)}"
        for row in rows
        if row.keys() != inner.keys() or not all(isinstance(row[part], inner[part]) for part in inner)
    ]


def _meaning_problems(body: dict, billing_period: str) -> list[str]:
    hashes = [row[part] for rows in body.values() if isinstance(rows, list) for row in rows for part in row
              if part in ("sha256", "file_sha256", "content_sha256")]  # fmt: skip
    checks = {
        f"has an unknown receipt_version {body['receipt_version']}": body["receipt_version"] == RECEIPT_VERSION,
        f"is of the period {body['billing_period']}": body["billing_period"] == billing_period,
        "has a finalized_at that is not a UTC time": bool(INSTANT.fullmatch(body["finalized_at"])),
        "does not name exactly the frozen tables": [
            (entry["table"], entry["file"]) for entry in body["tables"]
        ] == [(table.table, table.file) for table in FROZEN_TABLES],
        "has a hash that is not a SHA-256": all(isinstance(one, str) and SHA256.fullmatch(one) for one in hashes),
    }  # fmt: skip
    return [problem for problem, holds in checks.items() if not holds]


def chain_problems(receipts: list[Receipt]) -> list[str]:
    """What breaks the one chain over all receipts, each problem with its period: pure."""
    if not receipts:
        return []
    problems, by_period, named = [], {receipt.period: receipt for receipt in receipts}, {}
    for receipt in receipts:
        previous = receipt.body["previous_receipt"]
        if previous is None:
            continue
        earlier = by_period.get(previous["billing_period"])
        if earlier is None:
            problems.append(f"{receipt.period}: the receipt before it, of {previous['billing_period']}, is missing")
        elif earlier.sha256 != previous["sha256"]:
            problems.append(
                f"{receipt.period}: the chain is broken, the receipt of {earlier.period} has another SHA-256"
            )
        elif earlier.cutoff > receipt.cutoff:
            problems.append(f"{receipt.period}: closed on an earlier batch than {earlier.period}, which it follows")
        if previous["billing_period"] in named:
            problems.append(
                f"{receipt.period}: the chain forks, {named[previous['billing_period']]} follows the same receipt"
            )
        named[previous["billing_period"]] = receipt.period
    first = [receipt.period for receipt in receipts if receipt.body["previous_receipt"] is None]
    if len(first) != 1:
        problems.append(
            f"{', '.join(first) or receipts[0].period}: there must be exactly one first receipt, not {len(first)}"
        )
    return problems


def newest(settings: Settings) -> Receipt | None:
    """The end of the chain, which the next receipt must name. Raises UsageWarehouseError if the chain is not whole."""
    try:
        receipts = [read_receipt(settings, period) for period in closed_periods(settings)]
    except ValueError as error:
        raise UsageWarehouseError(f"a receipt in {settings.finalized} {error}: run `usage verify`") from error
    problems = chain_problems(receipts)
    if problems:
        raise UsageWarehouseError(f"the receipts do not form one chain ({problems[0]}): run `usage verify`")
    named = {
        receipt.body["previous_receipt"]["billing_period"] for receipt in receipts if receipt.body["previous_receipt"]
    }
    return next((receipt for receipt in receipts if receipt.period not in named), None)


def is_period_folder(entry: Path) -> bool:
    """Whether an entry of finalized/ is the folder of a closed period."""
    prefix, _, period = entry.name.partition("=")
    return prefix == "period" and bool(PERIOD.fullmatch(period)) and entry.is_dir() and not entry.is_symlink()

"""`finalize`: make a period final. Everything is written aside and put in place by one rename: no half close."""

import dataclasses
import shutil
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from orchestration.closing.database import attach_warehouse, check_period, scratch_connection
from orchestration.closing.lakefiles import Ground, file_sha256, ground
from orchestration.closing.receipts import FILE_NAME, RECEIPT_VERSION, folder_of, newest
from orchestration.closing.tables import FROZEN_TABLES, freeze
from orchestration.durable import sync
from orchestration.errors import GateBlocked, UsageWarehouseError
from orchestration.sealing import seal
from orchestration.settings import Settings, now

Decide = Callable[[Settings, str, datetime | None], Any]


def finalize(
    settings: Settings, billing_period: str, as_of: datetime | None = None, decide: Decide | None = None
) -> Path:
    """Close a period and return its receipt; a period that is final already is left as it is.

    `decide` answers whether it may close (default: the gates, from their stored results). Raises GateBlocked with every
    reason when it may not, and UsageWarehouseError when the lake or the warehouse lacks what the receipt must name.
    """
    check_period(billing_period)
    target = folder_of(settings, billing_period)
    if target.exists():
        if not (target / FILE_NAME).is_file():
            raise UsageWarehouseError(f"{target} has no receipt: run `usage verify`")
        return target / FILE_NAME
    decision = (decide or _ask_gates)(settings, billing_period, as_of)
    if not decision.allowed:
        raise GateBlocked(f"{billing_period} stays open: {'; '.join(decision.reasons)}")
    work = settings.scratch / f"finalize-{billing_period}" / target.name
    shutil.rmtree(work.parent, ignore_errors=True)
    work.mkdir(parents=True)
    body = {
        "receipt_version": RECEIPT_VERSION,
        "billing_period": billing_period,
        "cutoff_batch_id": decision.cutoff_batch_id,
        "finalized_at": instant_text(now(as_of)),
        "project_version": version("usage-warehouse"),
        **_ground(settings, decision.cutoff_batch_id),
        "tables": _freeze_tables(settings, billing_period, decision.cutoff_batch_id, work),
        "gates": [_without_rows(plain(result)) for result in decision.results],
        "waivers": [plain(waiver) for waiver in decision.waivers],
        "previous_receipt": _previous(settings),
    }
    (work / FILE_NAME).write_bytes(seal(body))
    _put_in_place(work, target)
    return target / FILE_NAME


def _ask_gates(settings: Settings, billing_period: str, as_of: datetime | None) -> Any:
    from orchestration import gates

    return gates.may_close(settings, billing_period, as_of)


def _ground(settings: Settings, cutoff_batch_id: int) -> dict:
    """The lake's part of the receipt, compared with the disk: a receipt never names what is not there."""
    try:
        found = ground(settings, cutoff_batch_id)
    except (ValueError, KeyError) as error:
        raise UsageWarehouseError(f"a batch manifest of the lake cannot be read: {error}") from error
    for named in found.lake_files:
        path = settings.home / named["path"]
        if not path.is_file():
            raise UsageWarehouseError(f"{named['path']} is missing from the lake: nothing can be closed on it")
        if file_sha256(path) != named["sha256"]:
            raise UsageWarehouseError(f"{named['path']} has changed since it landed: nothing can be closed on it")
    return {part.name: getattr(found, part.name) for part in dataclasses.fields(Ground)}


def _freeze_tables(settings: Settings, billing_period: str, cutoff_batch_id: int, folder: Path) -> list[dict]:
    with scratch_connection(settings) as connection:
        attach_warehouse(connection, settings)
        connection.execute("begin transaction")
        [built_batch] = connection.execute("select max(batch_id) from warehouse.operations.batches").fetchone()
        if built_batch != cutoff_batch_id:
            raise GateBlocked(
                f"{billing_period} stays open: the gates looked at batch {cutoff_batch_id}, the marts stand at batch "
                f"{built_batch}; run the gates again"
            )
        entries = [freeze(connection, settings, table, billing_period, folder) for table in FROZEN_TABLES]
    return [{**entry, "file_sha256": file_sha256(folder / entry["file"])} for entry in entries]


def _previous(settings: Settings) -> dict | None:
    receipt = newest(settings)
    return {"billing_period": receipt.period, "sha256": receipt.sha256} if receipt else None


def _put_in_place(work: Path, target: Path) -> None:
    """Make every byte durable and read-only, then let the period appear in one step."""
    for file in sorted(work.iterdir()):
        file.chmod(0o440)
        sync(file)
    work.chmod(0o750)
    sync(work)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(0o750)
    work.rename(target)
    sync(target.parent)
    work.parent.rmdir()


def instant_text(instant: datetime) -> str:
    """A UTC instant as the house writes it: microseconds and Z."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def plain(value: Any) -> Any:
    """Gate results and waivers, whatever carries them, as plain JSON values."""
    if hasattr(value, "as_dict"):
        value = value.as_dict()
    elif dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, datetime):
        return instant_text(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _without_rows(result: dict) -> dict:
    return {field: value for field, value in result.items() if field != "failed_rows"}

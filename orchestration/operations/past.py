"""The state as of a batch: a home of its own, built from what had landed and what was closed by then."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from orchestration import closing, gates, landing, warehouse
from orchestration.errors import UsageWarehouseError
from orchestration.operations.runs import Progress
from orchestration.settings import Settings, parse_instant


def build_as_of_batch(
    settings: Settings, batch_id: int, into: Path, as_of: datetime | None = None, progress: Progress | None = None
) -> warehouse.BuildResult:
    """Build the state as of a batch into the folder `into`: a home with the lake up to that batch, and
    the gates run and the periods closed on that batch or an earlier one.

    `as_of` stands for now; by default it is when the batch landed or the last of those periods was closed, whichever is later. The home
    that it is taken from is only read. Raises UsageWarehouseError where there is no such batch or the folder is not empty.
    """
    other = replace(settings, home=into.expanduser().absolute())
    landed = {manifest["batch_id"]: manifest["landed_at"] for manifest in landing.manifests(settings)}
    if batch_id not in landed:
        known = f"the batches are 1 to {max(landed)}" if landed else "nothing has landed"
        raise UsageWarehouseError(f"there is no batch {batch_id} in {settings.home}: {known}")
    if other.home.exists() and (not other.home.is_dir() or any(other.home.iterdir())):
        raise UsageWarehouseError(f"{into} is not an empty folder: a past state needs a home of its own")
    if other.home.resolve().is_relative_to(settings.home.resolve()):
        raise UsageWarehouseError(f"{into} lies in the home it is taken from: choose a folder outside {settings.home}")
    landing.link_lake(settings, other, batch_id)
    gates.link_runs(settings, other, batch_id)
    closed = closing.link_closed(settings, other, batch_id)
    moments = [landed[batch_id], *closed.values()]
    return warehouse.build(other, as_of or max(map(parse_instant, moments)), on_progress=progress)

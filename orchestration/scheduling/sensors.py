"""The sensor: starts `nightly` when files have arrived in the inbox."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from orchestration.scheduling.jobs import nightly
from orchestration.settings import load_settings

# A file that was written to more recently than this may still be on its way.
SETTLED_SECONDS = 60
WAITING = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)


@dg.sensor(
    name="new_dumps",
    job=nightly,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts `nightly` when new files lie in the inbox and nobody has written to them for a minute.",
)
def new_dumps(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One run for all that has arrived since the last. The cursor is the change time of the newest file asked for."""
    newest_known = int(context.cursor or 0)
    arrived = [changed for changed in _changes(load_settings().inbox) if changed > newest_known]
    settled = [changed for changed in arrived if changed <= time.time_ns() - SETTLED_SECONDS * 10**9]
    if not settled:
        return dg.SkipReason(f"{len(arrived)} files are still on their way" if arrived else "nothing new in the inbox")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=nightly.name, statuses=list(WAITING))):
        return dg.SkipReason(f"{len(settled)} new files; a nightly run waits to start already")
    context.update_cursor(str(max(settled)))
    return dg.RunRequest(run_key=f"inbox-{max(settled)}", tags={"usage/new_files": str(len(settled))})


def _changes(inbox: Path) -> Iterator[int]:
    """The change time (ns) of each visible file: set, too, when one is moved in with its old modification time."""
    for place, folders, names in os.walk(inbox):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            try:
                if not name.startswith("."):
                    yield Path(place, name).stat().st_ctime_ns
            except FileNotFoundError:  # gone since it was listed
                continue

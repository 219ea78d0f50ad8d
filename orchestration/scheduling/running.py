"""What all steps share: the time of a run, the write lock, retries where they help, and how figures are shown."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import dagster as dg
import duckdb

from orchestration.errors import UsageWarehouseError
from orchestration.locking import writing
from orchestration.settings import Settings, parse_instant

# The pool of every step that writes; its limit stands in dagster.yaml.
POOL = "warehouse_writer"

# The run tag with the time that a run was planned for, ISO 8601.
PLANNED_FOR = "usage/planned_for"

RETRIES = 5
RETRY_SECONDS = 60


class Clock(dg.ConfigurableResource):
    """What stands for now in a run. `as_of`: an ISO 8601 time, so that a run can be repeated; UTC without an offset."""

    as_of: str = ""

    def now_in(self, context: dg.AssetExecutionContext) -> datetime:
        """The one time of all steps of a run: `as_of`, else the time it was planned for, else that of its creation.

        A re-execution carries the tags of its original. It happens later, and says so: a receipt must not be dated back
        unasked.
        """
        if self.as_of:
            return parse_instant(self.as_of)
        planned_for = context.run.tags.get(PLANNED_FOR)
        if planned_for and context.run.parent_run_id is None:
            return parse_instant(planned_for)
        return context.instance.get_run_record_by_id(context.run.run_id).create_timestamp


@contextmanager
def writer(context: dg.AssetExecutionContext, settings: Settings, transient: bool = False) -> Iterator[None]:
    """Hold the home's lock for one step. A step that does not get it is tried again later.

    So is a `transient` one (landing, publishing: a second try does no harm) that input or output failed. What is wrong
    with the data or refused by a check fails at once: trying again would not help.
    """
    with ExitStack() as held:
        try:
            held.enter_context(writing(settings, context.op_execution_context.op.name))
        except UsageWarehouseError as error:  # entering raises it for one reason only: somebody else writes
            context.log.warning(f"{error}; trying again in {RETRY_SECONDS} s")
            raise dg.RetryRequested(RETRIES, RETRY_SECONDS) from error
        try:
            yield
        except (OSError, duckdb.IOException) as error:
            if not transient:
                raise
            context.log.warning(f"{type(error).__name__}: {error}; trying again in {RETRY_SECONDS} s")
            raise dg.RetryRequested(RETRIES, RETRY_SECONDS) from error
        except UsageWarehouseError as error:
            raise dg.Failure(str(error), allow_retries=False) from error


def table(rows: list[dict[str, Any]]) -> dg.MetadataValue:
    """Rows as a Markdown table, which Dagster shows as such."""
    if not rows:
        return dg.MetadataValue.text("none")
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return dg.MetadataValue.md("\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines))


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")

"""The two jobs and when they run.

A run takes a time that stands for now, so that it can be repeated:

    resources: {clock: {config: {as_of: "2026-10-05T12:00:00Z"}}}
"""

from datetime import timedelta

import dagster as dg

from orchestration.scheduling.close_assets import MONTHS, PERIOD
from orchestration.scheduling.lake_assets import landing_step
from orchestration.scheduling.running import PLANNED_FOR

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(PERIOD),
    description="Inbox → lake → marts → gates of periods that wait for their close → provisional figures. "
    "As `usage nightly`.",
)

month_end = dg.define_asset_job(
    "month_end",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(landing_step),
    partitions_def=MONTHS,
    description="One month: marts → gates → close → final figures. As `usage month-end`.",
)

nightly_schedule = dg.ScheduleDefinition(
    name="nightly",
    job=nightly,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 02:00 UTC.",
)


# The last account's month ends at the latest at 12:00 UTC on the 1st (UTC−12); 72 hours later the lateness window is
# over for all.
@dg.schedule(
    name="month_end",
    job=month_end,
    cron_schedule="0 12 5 * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="On the 5th at 12:00 UTC, for the month before.",
)
def month_end_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """The month before; as of the time planned: a receipt does not depend on how long the run waited in the queue."""
    due = context.scheduled_execution_time
    period = (due.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    return dg.RunRequest(run_key=period, partition_key=period, tags={PLANNED_FOR: due.isoformat()})

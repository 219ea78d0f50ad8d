"""All assets, jobs, schedules and sensors in one place."""

import dagster as dg

from orchestration.scheduling.close_assets import close_assets
from orchestration.scheduling.jobs import month_end, month_end_schedule, nightly, nightly_schedule
from orchestration.scheduling.lake_assets import INBOX, landing_step
from orchestration.scheduling.model_assets import model_assets
from orchestration.scheduling.project import EARLIER_CLOSES, read_project
from orchestration.scheduling.publish_assets import publishing_step
from orchestration.scheduling.running import Clock
from orchestration.scheduling.sensors import new_dumps
from orchestration.settings import Settings


def definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster loads. The home given only keeps dbt's parsed project; a run finds its own by USAGE_HOME.

    Runs are executed in one process: the steps exclude one another anyway (one writer), and dbt parses once.
    """
    project = read_project(settings)
    return dg.Definitions(
        assets=[
            *INBOX,
            *EARLIER_CLOSES,
            landing_step,
            *model_assets(project),
            *close_assets(project),
            publishing_step,
        ],
        jobs=[nightly, month_end],
        schedules=[nightly_schedule, month_end_schedule],
        sensors=[new_dumps],
        resources={"clock": Clock()},
        executor=dg.in_process_executor,
    )

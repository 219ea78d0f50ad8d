"""What Dagster loads (`make dev`): assets from landing to publishing, their checks, jobs, schedules, the sensor."""

from orchestration.scheduling import definitions
from orchestration.settings import load_settings

defs = definitions(load_settings())

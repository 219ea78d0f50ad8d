"""Scheduling: the rooms as Dagster assets, checks, jobs, schedules and a sensor.

What a step does stands in the rooms; here stands when it runs, and after what. The door: `definitions` makes all that
Dagster loads. Modules: `running` (time, write lock, retries), `project` (what the dbt manifest says), `lake_assets`,
`model_assets`, `close_assets`, `publish_assets`, `jobs`, `sensors`, and `wiring`, which puts them together.
"""

from orchestration.scheduling.wiring import definitions

__all__ = ["definitions"]

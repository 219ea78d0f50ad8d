"""The warehouse: runs the dbt project in process over what has landed, and opens its database for reading."""

from orchestration.warehouse.builds import BuildResult, build, manifest_path, run_results_path, take_over_parse
from orchestration.warehouse.reading import read, rows

__all__ = ["BuildResult", "build", "manifest_path", "read", "rows", "run_results_path", "take_over_parse"]

"""The limit: reads every column that the job needs from the lake's files once, and does nothing with it. `python -m tests.benchmarks.scan_job HOME OUTPUT`."""

from pathlib import Path

import duckdb

from tests.benchmarks.jobs import event_files, home_and_output

TEXTS = ("producer", "event_id", "metric", "unit", "sku", "account_id", "api_key", "namespace", "resource_id", "region")
NUMBERS = ("hash(event_uuid)", "quantity", "file_order", "row_number", "epoch_us(event_ts)")


def run(home: Path, output: Path) -> None:
    """Sums, minima and maxima over every column; of a text over its length, which no statistics in the files can answer."""
    values = [f"strlen({column}::varchar)" for column in TEXTS] + list(NUMBERS)
    figures = ", ".join(f"sum({value}), min({value}), max({value})" for value in values)
    files = [str(path) for path in event_files(home)]
    with duckdb.connect() as connection:
        found = connection.execute(f"select {figures} from read_parquet($files)", {"files": files}).fetchone()
    (output / "scan.txt").write_text(f"{found}\n")


if __name__ == "__main__":
    run(*home_and_output(__doc__))

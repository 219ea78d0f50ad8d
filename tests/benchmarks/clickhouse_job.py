"""The reference's job in embedded ClickHouse: `python -m tests.benchmarks.clickhouse_job HOME OUTPUT`; the tables are then OUTPUT/<table>.parquet.

Left to the reference alone: keys that change hands (each key must have one owner), and accounts that change plans.
"""

import shutil
from pathlib import Path

from chdb.session import Session

from tests.benchmarks.jobs import CURRENCIES, home_and_output, reference_file

REFERENCES = (
    "accounts",
    "attribution_keys",
    "metrics",
    "units",
    "skus",
    "account_plans",
    "prices",
    "price_tiers",
)
SCRIPT = Path(__file__).with_name("clickhouse.sql")
TABLES = ("usage_hourly", "usage_daily", "usage_monthly", "unattributed_usage", "invoice_lines")


def run(home: Path, output: Path) -> None:
    """Computes the tables from the lake's files into Parquet files."""
    shutil.rmtree(output / "session", ignore_errors=True)
    script = SCRIPT.read_text().replace("{events}", f"file('{home}/lake/usage_events/*/*/*.parquet', Parquet)")
    script = script.replace("{currencies}", f"file('{CURRENCIES}', CSVWithNames)")
    for table in REFERENCES:
        script = script.replace(f"{{{table}}}", f"file('{reference_file(home, table)}', Parquet)")
    session = Session(str(output / "session"))
    try:
        for statement in script.split(";\n"):
            if statement.strip():
                session.query(statement)
        for table in TABLES:
            target = output / f"{table}.parquet"
            target.unlink(missing_ok=True)
            session.query(f"select * from {table} into outfile '{target}' format Parquet")
    finally:
        session.close()


if __name__ == "__main__":
    run(*home_and_output(__doc__))

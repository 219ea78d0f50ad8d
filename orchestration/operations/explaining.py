"""Where an invoice line comes from: its tiers, days, hours, batches, files and events, each step adding up to the one before."""

from typing import Any

from orchestration import warehouse
from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings

# How many events are listed; all of them are counted.
EVENTS_SHOWN = 20

# A quantity per step is a sum of entries where the metric sums or counts; a maximum or a level has events, and no parts that add up to it.
SUMMED = "(sum(entry * quantity) filter (where aggregation in ('sum', 'count')))::decimal(38, 9) as quantity, sum(entry) as events"

# Each step of the walk: what it sums the entries by.
STEPS = {
    "days": f"select billing_date, {SUMMED} from entries group by 1 order by 1",
    "hours": f"select usage_hour, {SUMMED} from entries group by 1 order by 1",
    "batches": f"select batch_id, {SUMMED} from entries group by 1 order by 1",
    "files": f"""
        select landed_batch_id as batch_id, replayed_batch_id, file_name, file_sha256 as sha256, {SUMMED}
        from entries group by all order by all
    """,
    "events": f"""
        select producer, event_id, event_ts, entry, quantity, unit, key_type, key_value, batch_id, file_name, row_number
        from entries
        order by abs(quantity) desc, batch_id, landed_batch_id, file_order, row_number, entry
        limit {EVENTS_SHOWN}
    """,
}

# A figure that does not add up is held against its month: the lines of its key, with what is unpriced, are all of it. An adjustment is held against
# its tiers alone.
FIGURE = """
    select
        (select sum(quantity) from billing.invoice_lines where line_type = 'usage' and {key})
        + coalesce((select sum(quantity) from billing.unpriced_usage where {key}), 0)
        = (select quantity from usage.usage_monthly where {key})
""".format(
    key="(billing_period, account_id, metric, sku, region) = ($billing_period, $account_id, $metric, $sku, $region)"
)

# What a line rests on that is not of usage: rows of the marts and of the reference tables, by charge_type.
GROUNDS = {
    "discount": "select l.* from billing.invoice_lines as l where l.line_id = $base_line_id",
    "subscription": "select * from staging.stg_reference__subscriptions where subscription_id = $reference_id",
    "minimum": "select * exclude (line_id, billing_period) from billing.line_allocations where line_id = $line_id order by all",
    "credit": "select * exclude (line_id, billing_period) from billing.line_allocations where line_id = $line_id order by all",
}


def explain(settings: Settings, line_id: str) -> dict[str, Any]:
    """A line with its tiers and, per step, the sums that its quantity is made of; `adds_up` says whether they are equal to the digit.

    A line that is not of usage has no quantity to walk down: `rests_on` is the line that a discount takes off from, the
    subscription, or what a minimum or a credit stands for. Raises UsageWarehouseError where there is no such line.
    """
    with warehouse.read(settings) as connection:
        lines = warehouse.rows(connection, "select * from billing.invoice_lines where line_id = ?", [line_id])
        if not lines:
            raise UsageWarehouseError(f"there is no invoice line {line_id!r}: see line_id in billing.invoice_lines")
        tiers = warehouse.rows(
            connection,
            "select * exclude (line_id) from billing.invoice_line_tiers where line_id = ? order by tier_number",
            [line_id],
        )
        line = lines[0]
        if line["charge_type"] in GROUNDS:
            return {"line": line, "tiers": tiers, **_ground(connection, line, tiers)}
        # dbt_project/macros/line_entries.sql says which entries a line rests on
        connection.execute("create temp table entries as from billing.line_entries(?)", [line_id])
        steps = {name: warehouse.rows(connection, query) for name, query in STEPS.items()}
        if not _is_sum(connection):
            return {
                "line": line,
                "tiers": tiers,
                **steps,
                "adds_up": _is_figure(connection, line) and _is_sum_of(tiers, line),
            }
    sign = -1 if line["quantity"] < 0 and line["line_type"] == "adjustment" else 1
    sums = {name: sign * sum(row["quantity"] for row in steps[name]) for name in ("days", "hours", "batches", "files")}
    adds_up = all(total == line["quantity"] for total in sums.values()) and _is_sum_of(tiers, line)
    return {"line": line, "tiers": tiers, **steps, "adds_up": adds_up}


def _ground(connection: Any, line: dict[str, Any], tiers: list[dict[str, Any]]) -> dict[str, Any]:
    """What a line that is not of usage rests on; the parts of a minimum or a credit must sum to it."""
    query = GROUNDS[line["charge_type"]]
    names = [name for name in ("line_id", "base_line_id", "reference_id") if f"${name}" in query]
    rests_on = warehouse.rows(connection, query, {name: line[name] for name in names})
    parts = [row["allocated_amount"] for row in rests_on if "allocated_amount" in row]
    adds_up = _is_sum_of(tiers, line) and (not parts or sum(parts) == line["amount"])
    return {"rests_on": rests_on, "adds_up": adds_up}


def _is_sum(connection: Any) -> bool:
    """Whether the line's quantity is a sum of its entries."""
    [(is_sum,)] = connection.execute(
        "select coalesce(bool_and(aggregation in ('sum', 'count')), true) from entries"
    ).fetchall()
    return is_sum


def _is_figure(connection: Any, line: dict[str, Any]) -> bool:
    """Whether the lines of the figure that the line shows (or shares) hold all of it."""
    if line["line_type"] != "usage" or line["pricing_model"] == "flat":
        return True
    names = ("billing_period", "account_id", "metric", "sku", "region")
    [(is_all,)] = connection.execute(FIGURE, {name: line[name] for name in names}).fetchall()
    return bool(is_all)


def _is_sum_of(tiers: list[dict[str, Any]], line: dict[str, Any]) -> bool:
    return sum(tier["tier_amount"] for tier in tiers) == line["precise_amount"]

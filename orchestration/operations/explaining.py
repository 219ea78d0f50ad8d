"""Where an invoice line comes from: its tiers, days, hours, batches, files and events, each step adding up to the one before."""

from typing import Any

from orchestration import warehouse
from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings

# How many events are listed; all of them are counted.
EVENTS_SHOWN = 20

# The decided entries that a line's usage rests on: its account, metric, SKU and region on its dates, as known when the line was made. A line of a
# closed period knows the batches up to the cutoff; a rebilling knows all; a reversal takes back what was known at the origin's cutoff.
ENTRIES = """
    with line as (
        select l.*, c.cutoff_batch_id
        from billing.invoice_lines as l
        left join billing.billing_periods as c
            on c.billing_period = if(l.line_type = 'adjustment' and l.quantity >= 0, l.billing_period, l.origin_period)
        where l.line_id = ?
    )
    select e.*
    from intermediate.int_events_attributed as e
    inner join line as l
        on e.account_id = l.account_id and e.metric = l.metric and e.sku = l.sku
        and (e.region = l.region or l.pricing_model = 'flat')
        and e.billing_date between l.first_date and l.last_date
        and e.batch_id <= coalesce(l.cutoff_batch_id, e.batch_id)
    where e.outcome = 'attributed'
"""

# Each step of the walk: what it sums the entries by.
STEPS = {
    "days": "select billing_date, sum(entry * quantity)::decimal(38, 9) as quantity, sum(entry) as events from entries group by 1 order by 1",
    "hours": "select usage_hour, sum(entry * quantity)::decimal(38, 9) as quantity, sum(entry) as events from entries group by 1 order by 1",
    "batches": "select batch_id, sum(entry * quantity)::decimal(38, 9) as quantity, sum(entry) as events from entries group by 1 order by 1",
    "files": """
        select e.landed_batch_id as batch_id, f.file_name, f.sha256, sum(e.entry * e.quantity)::decimal(38, 9) as quantity, sum(e.entry) as events
        from entries as e
        left join staging.stg_lake__files as f on e.landed_batch_id = f.batch_id and e.file_order = f.file_order
        group by all order by all
    """,
    "events": f"""
        select e.producer, e.event_id, e.event_ts, e.entry, e.quantity, e.unit, e.key_type, e.key_value, e.batch_id, f.file_name, e.row_number
        from entries as e
        left join staging.stg_lake__files as f on e.landed_batch_id = f.batch_id and e.file_order = f.file_order
        order by abs(e.quantity) desc, e.batch_id, e.landed_batch_id, e.file_order, e.row_number, e.entry
        limit {EVENTS_SHOWN}
    """,
}


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
        connection.execute(f"create temp table entries as {ENTRIES}", [line_id])
        steps = {name: warehouse.rows(connection, query) for name, query in STEPS.items()}
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


def _is_sum_of(tiers: list[dict[str, Any]], line: dict[str, Any]) -> bool:
    return sum(tier["tier_amount"] for tier in tiers) == line["precise_amount"]

"""States the mixtures that the drawn usage holds by itself: sampling, units, schema versions, borders of days."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

from raw_samples.generator.company import ACCOUNT, ALL_METRICS, instant
from raw_samples.generator.events import BOUNDARIES, local_date
from raw_samples.generator.model import Event
from raw_samples.generator.planting import Planter


def state_mixtures(planter: Planter) -> None:
    """Notes every mixture with its figures, over all attributed events (each counted once)."""
    events = [e for drawn in planter.events.values() for e in drawn if e.account and not e.held]
    state_sampling(planter, events)
    state_units(planter, events)
    versions = Counter(1 if event.producer == "functions-runtime" else 2 for event in events)
    told = f"attributed events: {versions[1]} of v1, {versions[2]} of v2"
    planter.note("both schema versions", "functions-runtime writes v1, the others v2", "contract 2", told, [])
    for row in boundaries(planter.events["api-gateway"]):
        name = f"{row['account_id']} ({ACCOUNT[row['account_id']].time_zone}) uses one page at {row['event_ts']}"
        planter.note(name, "api-gateway", "9", f"billing_date {row['billing_date']}", [row["event_id"]])


def state_sampling(planter: Planter, events: list[Event]) -> None:
    """Sampled events and what they stand for (rule 11)."""
    for metric in ("api_requests", "api_egress"):
        counts = Counter(e.sampling_rate for e in events if e.metric == metric and e.sampling_rate)
        for rate, count in sorted(counts.items()):
            told = f"{count} attributed events stand for {int(count / Decimal(rate))}"
            planter.note(f"{metric} sampled at {rate}", "api-gateway", "11", told, [])


def state_units(planter: Planter, events: list[Event]) -> None:
    """Metrics whose events come in several units (rule 12)."""
    for metric, meter in ALL_METRICS.items():
        counts = Counter(e.unit for e in events if e.metric == metric)
        if len(counts) > 1:
            told = ", ".join(f"{counts[unit]} in {unit}" for unit in sorted(counts))
            where = next(e.producer for e in events if e.metric == metric)
            planter.note(
                f"{metric} in several units",
                where,
                "12",
                f"attributed events: {told}; all in {meter.unit} in the end",
                [],
            )


def border_events(events: list[Event]) -> list[Event]:
    """The events that BOUNDARIES asked for; other plants must leave them alone."""
    wanted = {(account_id, instant(text)) for account_id, texts in BOUNDARIES.items() for text in texts}
    found = [
        event
        for event in events
        if event.metric == "documents_analyzed" and event.quantity == 1 and (event.account, event.event_ts) in wanted
    ]
    if len(found) != len(wanted):
        raise ValueError(f"{len(found)} events on {len(wanted)} borders")
    return found


def boundaries(events: list[Event]) -> list[dict]:
    """The events on both sides of local midnights and changes of clocks, with the date on which they are billed."""
    rows = []
    for event in border_events(events):
        at = datetime.fromtimestamp(event.event_ts // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        date = local_date(ACCOUNT[event.account], event.event_ts)
        rows.append({"account_id": event.account, "event_id": event.event_id, "event_ts": at, "billing_date": date})
    return sorted(rows, key=lambda row: (row["account_id"], row["event_ts"]))

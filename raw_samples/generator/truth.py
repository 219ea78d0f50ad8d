"""What the warehouse must find: walks through the planted records in landing order and sums up what is true of them.

Nothing here reads the written files or runs the warehouse: accounts, holds and lateness are what was planted.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from raw_samples.generator import company
from raw_samples.generator.company import ACCOUNT, LANDINGS, Landing
from raw_samples.generator.events import local_date
from raw_samples.generator.model import BadRecord, Dump, Event
from raw_samples.generator.rating import converted

DEFAULT_SKU = {name: metric.default_sku for name, metric in company.ALL_METRICS.items()}


@dataclass(slots=True)
class Usage:
    """One counted event that belongs to an account: since which batch it is known, and what it adds to which figure."""

    known: int
    account_id: str
    date: str
    metric: str
    sku: str
    region: str
    quantity: Decimal
    late: str | None

    @property
    def period(self) -> str:
        return self.date[:7]


@dataclass
class Walk:
    """The outcome of all landings: per batch the counts, the counted usage, the rejected files."""

    batches: list[dict]
    usage: list[Usage]
    conflicting_ids: list[str]


@dataclass
class Tally:
    """What one batch brings."""

    counts: Counter = field(default_factory=Counter)
    reasons: Counter = field(default_factory=Counter)
    rejected_files: list[str] = field(default_factory=list)
    kept: list[Event] = field(default_factory=list)


def fate(event: Event, as_of: int) -> str:
    """held, unattributed or attributed, as batch `as_of` knows it."""
    if event.held and event.known_from > as_of:
        return "held"
    return "attributed" if event.account and event.known_from <= as_of else "unattributed"


def walk(dumps: list[Dump]) -> Walk:
    """Goes through the records as landing will: by batch, file name and row; the first of an identity counts."""
    first: dict[tuple[str, str], Event] = {}
    tallies = {landing.batch_id: Tally() for landing in LANDINGS}
    conflicting = []
    for dump in sorted(dumps, key=lambda d: (d.batch_id, d.path)):
        tally = tallies[dump.batch_id]
        if dump.cut:
            tally.rejected_files.append(dump.path)
            continue
        tally.counts["records"] += len(dump.records)
        for record in dump.records:
            if isinstance(record, BadRecord):
                tally.counts["rejected"] += 1
                tally.reasons.update(record.reasons)
                continue
            identity = (record.producer, record.event_id)
            if identity not in first:
                first[identity] = record
                tally.kept.append(record)
                continue
            tally.counts["duplicates"] += 1
            if first[identity].payload() != record.payload():
                tally.counts["conflicting_duplicates"] += 1
                conflicting.append("/".join(identity))
    last = LANDINGS[-1].batch_id
    usage = [
        usage_of(event, batch_id)
        for batch_id, tally in tallies.items()
        for event in tally.kept
        if fate(event, last) == "attributed"
    ]
    return Walk([batch_row(landing, tallies[landing.batch_id]) for landing in LANDINGS], usage, conflicting)


def batch_row(landing: Landing, tally: Tally) -> dict:
    """A batch as expected.json states it: its counts, and the outcome of its events as of each batch since."""
    outcomes = {}
    for later in LANDINGS[landing.batch_id - 1 :]:
        sums = Counter(fate(event, later.batch_id) for event in tally.kept)
        outcomes[str(later.batch_id)] = {name: sums[name] for name in ("held", "unattributed", "attributed")}
    names = ("records", "rejected", "duplicates", "conflicting_duplicates")
    return {
        "batch_id": landing.batch_id,
        "arrived": landing.arrived,
        "as_of": landing.as_of,
        "rejected_files": tally.rejected_files,
        "rejected_by_reason": dict(sorted(tally.reasons.items())),
        **{name: tally.counts[name] for name in names},
        **outcomes[str(LANDINGS[-1].batch_id)],
        "as_known_by": outcomes,
    }


def usage_of(event: Event, batch_id: int) -> Usage:
    """What an attributed event adds to its account's figures."""
    return Usage(
        max(batch_id, event.known_from),
        event.account,
        local_date(ACCOUNT[event.account], event.event_ts),
        event.metric,
        event.sku or DEFAULT_SKU[event.metric],
        event.region or "global",
        converted(event.metric, event.quantity, event.unit, event.sampling_rate),
        event.late,
    )


def monthly(usage: list[Usage], up_to_batch: int) -> list[dict]:
    """Quantity and events per period, account, metric and SKU, as known by a batch."""
    sums: dict[tuple, Decimal] = defaultdict(Decimal)
    events: Counter = Counter()
    for use in usage:
        if use.known <= up_to_batch:
            key = (use.period, use.account_id, use.metric, use.sku)
            sums[key] += use.quantity
            events[key] += 1
    return [
        {
            "billing_period": p,
            "account_id": a,
            "metric": m,
            "sku": s,
            "unit": company.ALL_METRICS[m].unit,
            "quantity": q,
            "event_count": events[p, a, m, s],
        }
        for (p, a, m, s), q in sorted(sums.items())
    ]

"""Plants the faults that change events before they are filed into dumps: keys, metrics, units, personal data, lateness.

What is planted here is known, not measured: each fault notes the figure that it must lead to.
"""

from raw_samples.generator import company
from raw_samples.generator.company import ACCOUNT, instant
from raw_samples.generator.events import local_date
from raw_samples.generator.ledger import PLANTED
from raw_samples.generator.model import Event
from raw_samples.generator.planting import Planter, ids_of, landing_of, per_batch
from raw_samples.generator.truth import DEFAULT_SKU

NEVER = 99  # the batch from which a never mended registry would know
LATE = {  # label: (landing, event dates (local) from, to, collected from, step in seconds, events)
    "in the window of 2026-09": (2, "2026-09-24", "2026-10-01", "2026-10-02T03:00:00Z", 240, 150),
    "after the close of 2026-09": (3, "2026-09-12", "2026-10-01", "2026-10-14T05:00:00Z", 420, 110),
    "in the window of 2026-10": (5, "2026-10-22", "2026-11-01", "2026-11-02T05:00:00Z", 240, 140),
    "after the close of 2026-10": (6, "2026-10-11", "2026-11-01", "2026-11-08T09:00:00Z", 300, 90),
}
LATE_BILLED_IN = {"2026-09": "billed in 2026-10", "2026-10": "billed in 2026-11"}
LATE_IN_WINDOW = tuple(account.account_id for account in company.ACCOUNTS[:12])  # large ones: few, small breaks
LATE_PRODUCERS = ("api-gateway", "compute-agent", "kube-meter")
PII_PLANTS = (  # where, field, value template with {n}
    ("api-gateway", "dims", "contact", "user{n}@example.com"),
    ("api-gateway", "extra", "client_ip", "192.0.2.{n}"),
    ("api-gateway", "extra", "callback_phone", "+1-202-555-01{n:02d}"),
    ("api-gateway", "extra", "comment", "please refund 4111 1111 1111 1111, invoice {n}"),
    ("functions-runtime", "extra", "user_email", "ops{n}@example.com"),
    ("storage-meter", "extra", "note", "bucket owner is owner{n}@example.com, host 192.0.2.{n}"),
    ("kube-meter", "extra", "note", "paged +1-202-555-01{n:02d}"),
)
PII_RECORDS = 20  # of each


def alter(planter: Planter) -> None:
    """All faults that change events before they are filed."""
    hold_events(planter)
    move_key(planter)
    use_key_early(planter)
    register_namespace_late(planter)
    name_strangers(planter)
    lose_keys(planter)
    tell_secrets(planter)
    bend_values(planter)
    deliver_late(planter)


def hold_events(planter: Planter) -> None:
    """Unregistered metrics and inconvertible units (rule 7)."""
    released = [e for e in planter.events["api-gateway"] if e.metric == company.LATE_METRIC]
    planter.spare(released)
    for event in released:
        event.held, event.known_from = "metric", 2
    early = [e for e in released if landing_of(e.ingested_ts) == 1]
    planter.note(
        f"metric `{company.LATE_METRIC}` is registered by the metrics.csv of batch 2 only",
        "api-gateway",
        "7",
        f"{len(early)} held as of batch 1, all released by batch 2, 0 held in the end",
        ids_of(early),
    )
    never = planter.pick("api-gateway", 60, lambda e: e.metric == "documents_analyzed")
    for event in never:
        event.metric, event.unit = company.NEVER_REGISTERED_METRIC, "request"
        event.held, event.known_from = "metric", NEVER
    planter.note(
        f"metric `{company.NEVER_REGISTERED_METRIC}` is never registered",
        "api-gateway",
        "7",
        f"held: {per_batch(never)}",
        ids_of(never),
    )
    for unit, count, why in (
        ("furlong", 15, "a unit that nobody registered"),
        ("hour", 10, "a registered unit of another base"),
    ):
        bent = planter.pick("api-gateway", count, lambda e: e.metric == "api_egress")
        for event in bent:
            event.unit, event.held, event.known_from = unit, "unit", NEVER
        planter.note(f"api_egress in `{unit}`, {why}", "api-gateway", "7", f"held: {per_batch(bent)}", ids_of(bent))


def move_key(planter: Planter) -> None:
    """A key belongs to one account until an instant, to another from then on (rule 6: as of event_ts)."""
    users = [e for e in planter.events["api-gateway"] if e.api_key == company.MOVED_KEY]
    planter.spare(users)
    alone = [e for e in users if not e.account_id]
    before = [e for e in alone if e.account == company.MOVED_KEY_FROM]
    old, new = company.MOVED_KEY_FROM, company.MOVED_KEY_TO
    planter.note(
        f"`{company.MOVED_KEY}` moves from {old} to {new} at {company.MOVED_KEY_AT}",
        "api-gateway, attribution_keys.csv of batch 3",
        "6",
        f"events with that key alone: {len(before)} belong to {old}, {len(alone) - len(before)} to {new}",
        ids_of(alone),
    )


def use_key_early(planter: Planter) -> None:
    """A key is used before its validity begins (nobody's usage) and after (rule 6)."""
    start = instant(company.YOUNG_KEY_FROM)
    for early, count, when, outcome in ((True, 12, "before", "unattributed"), (False, 30, "after", "attributed")):
        chosen = planter.pick(
            "api-gateway",
            count,
            lambda e, early=early: e.account == company.YOUNG_KEY_ACCOUNT and (e.event_ts < start) == early,
        )
        for event in chosen:
            event.account_id, event.api_key = None, company.YOUNG_KEY
            event.account = None if early else event.account
        name = f"`{company.YOUNG_KEY}` used {when} it is valid ({company.YOUNG_KEY_FROM})"
        planter.note(name, "api-gateway", "6", f"{outcome}: {per_batch(chosen)}", ids_of(chosen))


def register_namespace_late(planter: Planter) -> None:
    """Usage of a namespace that the registry learns of later, with a validity that covers it (rule 6)."""
    owner = company.LATE_NAMESPACE_ACCOUNT
    end = instant("2026-10-25T00:00:00Z")
    late = planter.pick("kube-meter", 80, lambda e: e.account == owner and e.event_ts < end)
    for event in late:
        event.namespace, event.known_from = company.LATE_NAMESPACE, 2
    early = [e for e in late if landing_of(e.ingested_ts) == 1]
    planter.note(
        f"namespace `{company.LATE_NAMESPACE}` is registered by batch 2, valid from January on",
        "kube-meter",
        "6",
        f"{len(early)} unattributed as of batch 1, all attributed to {owner} from batch 2 on",
        ids_of(early),
    )


def name_strangers(planter: Planter) -> None:
    """An account_id that does not exist does not hide the api_key beside it (rule 6: the first key that resolves)."""
    behind = planter.pick("api-gateway", 30, lambda e: e.api_key is not None and not e.held and e.account is not None)
    for event in behind:
        event.account_id = "acct_9001"
    name = "account_id `acct_9001` does not exist, the api_key beside it does"
    planter.note(name, "api-gateway", "6", f"attributed by api_key: {per_batch(behind)}", ids_of(behind))


def lose_keys(planter: Planter) -> None:
    """Events without any key, and with keys that nobody registered (rule 6)."""
    bare = []
    for producer, count in (("api-gateway", 70), ("functions-runtime", 25), ("kube-meter", 25), ("compute-agent", 20)):
        for event in planter.pick(producer, count, lambda e: not e.held):
            event.account_id = event.api_key = event.namespace = event.resource_id = event.account = None
            bare.append(event)
    planter.note("no key at all", "four producers", "6", f"unattributed: {per_batch(bare)}", ids_of(bare))
    unknown = (
        ("api-gateway", "api_key", ("key-9001-77aa", "key-9002-19cf", "key-9003-e0b4"), 60),
        ("kube-meter", "namespace", ("sandbox-default",), 25),
        ("compute-agent", "resource_id", ("vm-9001-0",), 10),
    )
    for producer, field, values, count in unknown:
        lost = planter.pick(producer, count, lambda e: not e.held)
        for number, event in enumerate(lost):
            event.account_id = event.account = None
            setattr(event, field, values[number % len(values)])
        planter.note(
            f"unknown {field}: {', '.join(f'`{v}`' for v in values)}",
            producer,
            "6",
            f"unattributed: {per_batch(lost)}",
            ids_of(lost),
        )


def tell_secrets(planter: Planter) -> None:
    """Personal data in free fields, all of it fiction (rule 4)."""
    for producer, place, name, template in PII_PLANTS:
        told = planter.pick(producer, PII_RECORDS, lambda e: not e.held and e.account is not None)
        for number, event in enumerate(told, start=1):
            setattr(event, place, {**(getattr(event, place) or {}), name: template.format(n=number)})
        planter.note(
            f"personal data in {place}: `{name}` = `{template.format(n=1)}` and the like",
            producer,
            "4",
            f"{PII_RECORDS} records, 0 of the values in the lake",
            ids_of(told),
        )


def bend_values(planter: Planter) -> None:
    """Legal oddities that must be accepted: negative recounts, a clock that runs ahead less than a day."""
    negative = planter.pick(
        "storage-meter", 6, lambda e: e.metric == "storage_volume" and e.unit == "GB_hour" and e.sku is None
    )
    for event in negative:
        event.quantity = -event.quantity / 1000
    planter.note(
        "negative recounts of storage_volume, which allows them",
        "storage-meter",
        "10",
        f"accepted and attributed: {per_batch(negative)}",
        ids_of(negative),
    )
    ahead = planter.pick(
        "api-gateway",
        3,
        lambda e: (
            "2026-10-05" < local_date(ACCOUNT["acct_0002"], e.event_ts) < "2026-10-25"
            and e.account == "acct_0002"
            and e.api_key != company.MOVED_KEY
        ),
    )
    for event in ahead:
        event.event_ts = event.ingested_ts + 23 * company.HOUR
    planter.note(
        "event_ts 23 h after ingested_ts", "api-gateway", "contract 2", f"accepted: {per_batch(ahead)}", ids_of(ahead)
    )


def deliver_late(planter: Planter) -> None:
    """Usage that is delivered after its month: inside the lateness window, or after the close (rules 18, 20)."""
    deliver_waived(planter)
    for label, (batch, first, end, _, _, count) in LATE.items():
        shares = (count // 2, count // 4, count - count // 2 - count // 4)
        late = []
        for producer, share in zip(LATE_PRODUCERS, shares, strict=True):
            late += planter.pick(producer, share, lambda e, plan=(label, first, end): can_be_late(e, *plan))
        late.sort(key=lambda e: e.event_ts)
        postpone(late, label)
        origin = label[-7:]
        fate = f"billed in {origin}" if "window" in label else f"adjustments of {origin}, {LATE_BILLED_IN[origin]}"
        figure = f"{len(late)} events, {fate}"
        planter.note(f"late usage, {label}", f"*-late-* of batch {batch}", "18, 20", figure, ids_of(late))


def deliver_waived(planter: Planter) -> None:
    """So much late usage of one small account that its ledger gap needs a waiver (rules 19, 22)."""
    account_id, first = company.WAIVED_ACCOUNT, "2026-09-26"
    late = [
        event
        for event in planter.events["kube-meter"]
        if event.account == account_id and not planter.is_used(event)
        if first <= local_date(ACCOUNT[account_id], event.event_ts) < "2026-10-01"
    ]
    postpone(late, "in the window of 2026-09")
    planter.spare(late)
    planter.note(
        f"all cluster usage of {account_id} from {first} on comes late, inside the window",
        "kube-meter-late of batch 2",
        "18, 22",
        f"{len(late)} events billed in 2026-09, not in the ledger: gap over 2 %, waived",
        ids_of(late),
    )


def can_be_late(event: Event, label: str, first: str, end: str) -> bool:
    """Ordinary attributed usage of those local dates, not so dear that one event alone opens a gap."""
    if "window" in label and event.account not in LATE_IN_WINDOW:
        return False
    if event.account in (None, company.WAIVED_ACCOUNT) or event.held or event.known_from or event.sku == "compute-gpu":
        return False
    if (event.account, event.sku or DEFAULT_SKU[event.metric]) in PLANTED:
        return False
    in_time = landing_of(event.ingested_ts) in (1, 3, 4)
    return in_time and first <= local_date(ACCOUNT[event.account], event.event_ts) < end


def postpone(events: list[Event], label: str) -> None:
    """Gives the events their late time of collection."""
    _, _, _, start, step, _ = LATE[label]
    for number, event in enumerate(events):
        event.ingested_ts, event.late = instant(start) + number * step * 1000, label

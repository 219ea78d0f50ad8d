"""One record to one event, or to the reasons why it is rejected (contracts, section 2)."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from tests.oracle.exact import parse_decimal
from tests.oracle.reading import parse_object

REQUIRED = ("event_id", "producer", "event_ts", "metric", "quantity", "unit")
KEY_FIELDS = ("account_id", "api_key", "namespace", "resource_id")
TEXT_FIELDS = ("event_id", "producer", "metric", "unit", "sku", *KEY_FIELDS, "region", "corrects", "correction")
CONTRACT_FIELDS = {*TEXT_FIELDS, "schema_version", "event_ts", "ingested_ts", "quantity", "sampling_rate", "dims"}

# The older form: these nine fields and no other; anything else in such a record is an unknown field.
V1_NAMES = {
    "event_id": "event_id",
    "timestamp": "event_ts",
    "source": "producer",
    "account": "account_id",
    "api_key": "api_key",
    "region": "region",
    "metric": "metric",
    "value": "quantity",
    "unit": "unit",
}

MOST_BYTES = {"event_id": 256}
MOST_BYTES_ELSEWHERE = 4096
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FURTHEST_AHEAD = timedelta(hours=24)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ISO_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?([Zz]|([+-])(\d\d)(?::?([0-5]\d))?)", re.ASCII
)
EPOCH_MILLISECONDS = re.compile(r"-?\d{1,18}", re.ASCII)


@dataclass(slots=True)
class Event:
    """An accepted record. `quantity` is as written: in the event's own unit, not yet weighted by its sampling.

    `payload` is a hash of all that a redelivery must repeat to be a plain duplicate: everything but ingested_ts and the
    form it was written in (schema version, notation of numbers and times, defaults written out).
    """

    batch_id: int
    file_order: int
    row_number: int
    producer: str
    event_id: str
    event_ts: datetime
    metric: str
    quantity: Decimal
    unit: str
    sku: str | None
    keys: tuple[str | None, ...]
    region: str
    sampling_rate: Decimal
    is_correction: bool
    payload: int


def check_record(fields: dict | None, landed_at: datetime, allow_negative: dict[str, bool]) -> tuple[dict, list[str]]:
    """The record's fields in today's names and types, and its reject reasons, sorted (none = accepted).

    `allow_negative` says it per metric registered when the record landed; an unregistered metric may be negative.
    """
    if fields is None:
        return {}, ["malformed_record"]
    given = {name: value for name, value in fields.items() if value is not None and value != ""}
    version = given.pop("schema_version", None)
    if version is not None and (isinstance(version, bool) or str(version) not in ("1", "2")):
        return {}, ["unsupported_schema_version"]
    record = _in_todays_names(given, version)
    reasons = {f"missing_{field}" for field in REQUIRED if field not in record}
    for check in (_check_sizes, _check_quantity, _check_sampling_rate):
        reasons |= set(check(record, allow_negative))
    reasons |= set(_check_times(record, landed_at))
    return record, sorted(reasons)


def _in_todays_names(given: dict, version) -> dict:
    """The record with v2 names; what the contract does not name is gathered under `extra`."""
    old_only, new_only = {"timestamp", "source", "value"}, {"event_ts", "producer", "quantity"}
    is_v1 = str(version) == "1" or (version is None and given.keys() & old_only and not given.keys() & new_only)
    record, extra = {}, {}
    for name, value in given.items():
        if is_v1:
            name, known = V1_NAMES.get(name, name), name in V1_NAMES
        else:
            known = name in CONTRACT_FIELDS
        (record if known else extra)[name] = value
    for name in TEXT_FIELDS:
        if name in record and not isinstance(record[name], str):
            record[name] = json.dumps(record[name], sort_keys=True, default=str)
    if isinstance(record.get("dims"), str):
        dims = parse_object(record.pop("dims"))
        if dims is None:
            extra["dims"] = given["dims"]
        else:
            record["dims"] = dims
    record["extra"] = extra
    return record


def _check_sizes(record: dict, _) -> list[str]:
    for field in TEXT_FIELDS:
        limit = MOST_BYTES.get(field, MOST_BYTES_ELSEWHERE)
        value = record.get(field)
        if value is not None and len(value) * 4 > limit and len(value.encode("utf-8")) > limit:
            return ["oversized_field"]
    return []


def _check_quantity(record: dict, allow_negative: dict[str, bool]) -> list[str]:
    if "quantity" not in record:
        return []
    written = record["quantity"]
    quantity = parse_decimal(written, fraction_digits=9, whole_digits=29) if isinstance(written, str) else None
    if quantity is None:
        return ["invalid_quantity"]
    record["quantity"] = quantity
    return ["negative_quantity"] if quantity < 0 and not allow_negative.get(record.get("metric"), True) else []


def _check_sampling_rate(record: dict, _) -> list[str]:
    if "sampling_rate" not in record:
        return []
    written = record["sampling_rate"]
    rate = parse_decimal(written, fraction_digits=9, whole_digits=9) if isinstance(written, str) else None
    if rate is None or not 0 < rate <= 1:
        return ["invalid_sampling_rate"]
    record["sampling_rate"] = rate
    return []


def _check_times(record: dict, landed_at: datetime) -> list[str]:
    ingested_ts = parse_time(record.pop("ingested_ts", None))  # unreadable counts as absent
    if "event_ts" not in record:
        return []
    event_ts = parse_time(record["event_ts"])
    if event_ts is None:
        return ["invalid_event_ts"]
    record["event_ts"] = event_ts
    in_range = event_ts >= EARLIEST and event_ts - (ingested_ts or landed_at) <= FURTHEST_AHEAD
    return [] if in_range else ["event_ts_out_of_range"]


def parse_time(value) -> datetime | None:
    """The instant (UTC; digits past microseconds cut off) of an ISO 8601 time with offset, or of epoch milliseconds."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        return None
    try:
        if EPOCH_MILLISECONDS.fullmatch(value):
            return EPOCH + timedelta(milliseconds=int(value))
        found = ISO_TIME.fullmatch(value)
        return _instant(found) if found else None
    except (ValueError, OverflowError):
        return None


def _instant(found: re.Match) -> datetime:
    year, month, day, hour, minute, second, fraction, offset, sign, hours, minutes = found.groups()
    microsecond = int(f"{fraction or '':0<6.6}")
    is_leap = second == "60"
    clock = (
        (int(hour), int(minute), 59, 999_999) if is_leap else (int(hour), int(minute), int(second or 0), microsecond)
    )
    instant = datetime(int(year), int(month), int(day), *clock, UTC)
    if offset not in "Zz":
        ahead = timezone(timedelta(hours=int(hours), minutes=int(minutes or 0)) * (1 if sign == "+" else -1))
        instant = instant.replace(tzinfo=ahead).astimezone(UTC)
    # a leap second stands at the end of a UTC month, and counts as its last microsecond
    if is_leap and (instant + timedelta(microseconds=1)).strftime("%d%H%M%S") != "01000000":
        raise ValueError(second)
    return instant


def to_event(record: dict, batch_id: int, file_order: int, row_number: int) -> Event:
    """The accepted record as an event, the contract's defaults applied."""
    get = record.get
    keys = tuple(get(field) for field in KEY_FIELDS)
    region, rate = get("region", "global"), get("sampling_rate", Decimal(1))
    free = tuple(json.dumps(get(part) or {}, sort_keys=True, default=str) for part in ("dims", "extra"))
    correction = (get("corrects"), get("correction"))
    payload = (
        record["event_ts"],
        record["metric"],
        record["quantity"],
        record["unit"],
        get("sku"),
        keys,
        region,
        rate,
        correction,
        free,
    )
    return Event(
        batch_id,
        file_order,
        row_number,
        record["producer"],
        record["event_id"],
        record["event_ts"],
        record["metric"],
        record["quantity"],
        record["unit"],
        get("sku"),
        keys,
        region,
        rate,
        correction != (None, None),
        hash(payload),
    )

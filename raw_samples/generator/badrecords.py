"""The bad records: for each reject reason data that must trigger it, spread over dumps of every format (rule 1)."""

from collections import Counter
from decimal import Decimal

from raw_samples.generator.model import BadRecord, Dump, Event
from raw_samples.generator.planting import Planter, by_stem
from raw_samples.generator.write import COMPUTE_COLUMNS, STORAGE_COLUMNS, csv_row, iso, json_line

GOOD_V2 = {
    "event_id": "",
    "producer": "api-gateway",
    "event_ts": "",
    "ingested_ts": "",
    "metric": "documents_analyzed",
    "quantity": "3",
    "unit": "page",
    "account_id": "acct_0002",
    "region": "us-east-1",
}
V2_FAULTS = (  # reasons, the fields that make it so (None: left out)
    ("missing_event_id", {"event_id": None}),
    ("missing_event_id", {"event_id": ""}),
    ("missing_producer", {"producer": None}),
    ("missing_event_ts", {"event_ts": None}),
    ("missing_metric", {"metric": None}),
    ("missing_quantity", {"quantity": None}),
    ("missing_unit", {"unit": ""}),
    ("invalid_event_ts", {"event_ts": "yesterday"}),
    ("invalid_event_ts", {"event_ts": "2026-09-31T00:00:00Z"}),
    ("invalid_event_ts", {"event_ts": "2026-09-12T10:00:00"}),
    ("event_ts_out_of_range", {"event_ts": "1999-12-31T23:59:59Z"}),
    ("event_ts_out_of_range", {"event_ts": "2031-01-01T00:00:00Z"}),
    ("invalid_quantity", {"quantity": "three"}),
    ("invalid_quantity", {"quantity": "NaN"}),
    ("invalid_quantity", {"quantity": "Infinity"}),
    ("invalid_quantity", {"quantity": "0.1234567891"}),
    ("invalid_quantity", {"quantity": "1" + "0" * 30}),
    ("negative_quantity", {"quantity": "-3"}),
    ("invalid_sampling_rate", {"sampling_rate": Decimal(0)}),
    ("invalid_sampling_rate", {"sampling_rate": Decimal("1.5")}),
    ("invalid_sampling_rate", {"sampling_rate": "often"}),
    ("oversized_field", {"event_id": "gw-" + "x" * 300}),
    ("oversized_field", {"region": "r" * 5000}),
    ("unsupported_schema_version", {"schema_version": 3}),
    ("unsupported_schema_version", {"schema_version": 0}),
    ("invalid_event_ts missing_unit", {"event_ts": "soon", "unit": None}),
    ("invalid_quantity missing_metric", {"quantity": "many", "metric": None}),
    ("invalid_sampling_rate negative_quantity", {"sampling_rate": Decimal(-1), "quantity": "-0.5"}),
)
MALFORMED = (
    b'{"event_id": "gw-torn", "producer": "api-gateway", "contact": "billing@example.com", "quan',
    b'["gw-list", "api-gateway"]',
    b'"gw-text"',
    b"upstream connect error or disconnect/reset before headers",
    b'{"event_id": "gw-latin", "producer": "api-gateway", "note": "caf\xe9"}',
)
GOOD_V1 = {
    "schema_version": 1,
    "event_id": "",
    "timestamp": 0,
    "source": "functions-runtime",
    "account": "acct_0003",
    "region": "ap-south-1",
    "metric": "function_duration",
    "value": Decimal("1.5"),
    "unit": "s",
}
V1_FAULTS = (
    ("missing_event_id", {"event_id": None}),
    ("missing_producer", {"source": None}),
    ("missing_event_ts", {"timestamp": None}),
    ("missing_metric", {"metric": ""}),
    ("missing_quantity", {"value": None}),
    ("missing_unit", {"unit": None}),
    ("invalid_event_ts", {"timestamp": "12/09/2026"}),
    ("negative_quantity", {"value": Decimal(-1)}),
    ("invalid_quantity", {"value": "1,5"}),
    ("unsupported_schema_version", {"schema_version": 4}),
)
CSV_FAULTS = {  # producer: (column, value, reason)
    "storage-meter": (
        ("unit", "", "missing_unit"),
        ("quantity", "n/a", "invalid_quantity"),
        ("event_ts", "2026-13-01T00:00:00Z", "invalid_event_ts"),
        ("event_id", "", "missing_event_id"),
    ),
    "compute-agent": (
        ("quantity", "", "missing_quantity"),
        ("quantity", "-60", "negative_quantity"),
        ("metric", "", "missing_metric"),
        ("event_ts", "946684799999", "event_ts_out_of_range"),
    ),
}
GOOD_CSV = {
    "storage-meter": {
        "event_id": "bad",
        "producer": "storage-meter",
        "metric": "storage_operations",
        "quantity": "12",
        "unit": "operation",
        "account_id": "acct_0002",
        "region": "us-east-1",
    },
    "compute-agent": {
        "event_id": "bad",
        "producer": "compute-agent",
        "metric": "instance_time",
        "quantity": "12",
        "unit": "s",
        "account_id": "acct_0002",
        "region": "us-east-1",
    },
}
GOOD_KUBE = {
    "event_id": "",
    "producer": "kube-meter",
    "metric": "kube_cpu",
    "quantity": Decimal(1),
    "unit": "core_hour",
    "namespace": "bluefin-prod",
    "region": "us-east-1",
    "dims": {"job_name": "web", "node_pool": "general"},
    "note": None,
}
KUBE_FAULTS = (
    ("unit", None, "missing_unit"),
    ("event_ts", None, "missing_event_ts"),
    ("quantity", Decimal(-2), "negative_quantity"),
)

# Which dumps receive which bad records: (path, every how many-th fault of its table, starting at).
SPOILED = (
    ("api-gateway-2026-09-09", 1, 0),
    ("api-gateway-2026-10-01", 5, 0),
    ("api-gateway-2026-10-07", 3, 1),
    ("api-gateway-2026-10-27", 4, 2),
    ("api-gateway-2026-11-01", 9, 3),
    ("functions-runtime-2026-09-15", 1, 0),
    ("functions-runtime-2026-10-12", 4, 1),
    ("storage-meter-2026-09-14", 1, 0),
    ("storage-meter-2026-10-12", 2, 0),
    ("compute-agent-2026-09-22", 1, 0),
    ("compute-agent-2026-10-22", 2, 1),
    ("kube-meter-2026-09-14", 1, 0),
    ("kube-meter-2026-10-20", 2, 0),
    ("api-gateway-late-2026-11-08", 13, 5),
)


def bad_records(dump: Dump) -> list[BadRecord]:
    """Every bad record that the dump's format can hold, each a good record but for its fault."""
    makers = {"api-gateway": bad_v2, "functions-runtime": bad_v1, "kube-meter": bad_parquet}
    neighbour = next(record for record in dump.records if isinstance(record, Event))
    return makers.get(dump.producer, bad_csv)(dump, neighbour)


def bad_v2(dump: Dump, neighbour: Event) -> list[BadRecord]:
    """Bad v2 lines, and lines that are no JSON objects."""
    times = {"event_ts": iso(neighbour.event_ts), "ingested_ts": iso(neighbour.ingested_ts)}
    bad = []
    for number, (reasons, change) in enumerate(V2_FAULTS):
        fields = GOOD_V2 | times | {"event_id": f"gw-bad-{day_of(dump)}-{number}"} | change
        bad.append(BadRecord(tuple(reasons.split()), json_line(fields)))
    return bad + [BadRecord(("malformed_record",), raw) for raw in MALFORMED]


def bad_v1(dump: Dump, neighbour: Event) -> list[BadRecord]:
    """Bad v1 lines, and a torn one."""
    bad = []
    for number, (reason, change) in enumerate(V1_FAULTS):
        event_id = f"fn-bad-{day_of(dump)}-{number}"
        fields = GOOD_V1 | {"event_id": event_id, "timestamp": neighbour.event_ts} | change
        bad.append(BadRecord((reason,), json_line(fields)))
    return [*bad, BadRecord(("malformed_record",), b'{"schema_version":1,"event_id":"fn-torn","timest')]


def bad_parquet(_: Dump, neighbour: Event) -> list[BadRecord]:
    """Bad Parquet rows."""
    times = {"event_ts": neighbour.event_ts * 1000, "ingested_ts": neighbour.ingested_ts * 1000}
    return [
        BadRecord((reason,), cells=GOOD_KUBE | times | {"event_id": f"kb-bad-{number}"} | {column: value})
        for number, (column, value, reason) in enumerate(KUBE_FAULTS)
    ]


def day_of(dump: Dump) -> str:
    """The date in the dump's file name."""
    return dump.path.rsplit("/", 1)[1].split(".")[0][-10:]


def bad_csv(dump: Dump, neighbour: Event) -> list[BadRecord]:
    """Bad CSV rows: one per fault, and rows with cells too many and too few."""
    columns = STORAGE_COLUMNS if dump.producer == "storage-meter" else COMPUTE_COLUMNS
    good = GOOD_CSV[dump.producer] | {"event_ts": neighbour.event_ts, "ingested_ts": neighbour.ingested_ts}
    bad = []
    for number, (column, value, reason) in enumerate(CSV_FAULTS[dump.producer]):
        row = good | {"event_id": f"bad-{number}"} | {column: value}
        bad.append(BadRecord((reason,), csv_row([row.get(name) for name in columns])))
    cells = [good.get(name) for name in columns]
    return [*bad, *(BadRecord(("malformed_record",), csv_row(torn)) for torn in ([*cells, "one", "more"], cells[:-3]))]


def insert_bad_records(dumps: dict[str, Dump], planter: Planter) -> None:
    """Spreads bad records over the spoiled dumps."""
    for stem, every, start in SPOILED:
        dump = by_stem(dumps, stem)
        bad = bad_records(dump)[start::every]
        gap = max(len(dump.records) // (len(bad) + 1), 1)
        for number, record in enumerate(bad):
            dump.records.insert((number + 1) * gap + number, record)
        counts = Counter(reason for record in bad for reason in record.reasons)
        told = ", ".join(f"{reason} {counts[reason]}" for reason in sorted(counts))
        planter.note(
            f"{len(bad)} bad records", dump.path, "1", f"rejected in batch {dump.batch_id}: {len(bad)} ({told})", []
        )

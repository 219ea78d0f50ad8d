"""The oracle's reading of dumps: every reject reason beside its just-legal neighbour, formats, and broken files."""

import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.oracle.reading import parse_object
from tests.oracle.validation import check_record

LANDED_AT = datetime(2026, 12, 1, tzinfo=UTC)
GOOD = {
    "event_id": "e",
    "producer": "p",
    "event_ts": "2026-10-10T00:00:00Z",
    "metric": "calls",
    "quantity": "1",
    "unit": "request",
}


def reasons(changes=None, **fields):
    record = GOOD | fields | (changes or {})
    return check_record(parse_object(json.dumps(record)), LANDED_AT, {"calls": False, "points": True})[1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        *[({field: absent}, [f"missing_{field}"]) for field in GOOD for absent in (None, "")],
        ({"event_id": None, "unit": ""}, ["missing_event_id", "missing_unit"]),
        ({"schema_version": 2}, []),
        ({"schema_version": 3, "unit": None}, ["unsupported_schema_version"]),
        ({"event_ts": "2026-10-10T00:00:00"}, ["invalid_event_ts"]),
        ({"event_ts": "2026-10-10"}, ["invalid_event_ts"]),
        ({"event_ts": "2026-02-30T00:00:00Z"}, ["invalid_event_ts"]),
        ({"event_ts": 1790000000000}, []),
        ({"event_ts": "1790000000000"}, []),
        ({"event_ts": 1790000000000.5}, ["invalid_event_ts"]),
        ({"event_ts": True}, ["invalid_event_ts"]),
        ({"event_ts": "2000-01-01T00:00:00Z"}, []),
        ({"event_ts": "1999-12-31T23:59:59.999999Z"}, ["event_ts_out_of_range"]),
        ({"event_ts": "2026-12-02T00:00:00Z"}, []),  # exactly 24 h after the landing
        ({"event_ts": "2026-12-02T00:00:00.000001Z"}, ["event_ts_out_of_range"]),
        ({"event_ts": "2026-12-02T00:00:00.0000009Z"}, []),  # cut to microseconds
        ({"ingested_ts": "2026-10-09T00:00:00Z"}, []),
        ({"ingested_ts": "2026-10-08T23:59:59Z"}, ["event_ts_out_of_range"]),
        ({"ingested_ts": "rubbish"}, []),
        ({"quantity": 1.5}, []),
        ({"quantity": "NaN"}, ["invalid_quantity"]),
        ({"quantity": True}, ["invalid_quantity"]),
        ({"quantity": {"amount": 1}}, ["invalid_quantity"]),
        ({"quantity": "0.000000001"}, []),
        ({"quantity": "0.0000000001"}, ["invalid_quantity"]),
        ({"quantity": "-1"}, ["negative_quantity"]),
        ({"quantity": "-0"}, []),
        ({"quantity": "-1", "metric": "points"}, []),
        ({"quantity": "-1", "metric": "unheard-of"}, []),
        ({"sampling_rate": "1"}, []),
        ({"sampling_rate": "1.000000001"}, ["invalid_sampling_rate"]),
        ({"sampling_rate": 0}, ["invalid_sampling_rate"]),
        ({"sampling_rate": "0.000000001"}, []),
        ({"sampling_rate": "0.0000000001"}, ["invalid_sampling_rate"]),
        ({"event_id": "é" * 128}, []),
        ({"event_id": "é" * 128 + "x"}, ["oversized_field"]),
        ({"region": "x" * 4096}, []),
        ({"region": "x" * 4097}, ["oversized_field"]),
        ({"quantity": "-1", "sampling_rate": 2}, ["invalid_sampling_rate", "negative_quantity"]),
    ],
)
def test_reject_reasons(fields, expected):
    assert reasons(fields) == expected


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b"1", b'{"a":1,"a":2}', b'{"a":"\xff"}', b'{"a":{"b":1,"b":1}}', rb'{"a":"\ud800"}', b"{} {}"],
)
def test_malformed_lines(line):
    assert parse_object(line) is None


def test_numbers_keep_every_digit():
    record, _ = check_record(
        parse_object(b'{"quantity": 12345678901234567890.123456789}'), LANDED_AT, allow_negative={}
    )
    assert record["quantity"] == Decimal("12345678901234567890.123456789")


OLD = {"event_id": "e", "timestamp": 1790000000000, "source": "p", "account": "a", "metric": "calls", "value": 2}


@pytest.mark.parametrize("version", [{}, {"schema_version": 1}, {"schema_version": "1"}])
def test_the_older_form(version):
    record, found = check_record(parse_object(json.dumps(OLD | {"unit": "request"} | version)), LANDED_AT, {})
    assert found == []
    assert (record["producer"], record["account_id"], record["quantity"]) == ("p", "a", Decimal(2))


def test_the_older_form_misses_fields_by_their_new_names():
    assert check_record({"timestamp": "x", "schema_version": "1"}, LANDED_AT, {})[1] == [
        "invalid_event_ts",
        "missing_event_id",
        "missing_metric",
        "missing_producer",
        "missing_quantity",
        "missing_unit",
    ]


# --- files ------------------------------------------------------------------------------------------------------------


def jsonl(count=3):
    return "\n".join(json.dumps(GOOD | {"event_id": f"e{n}"}) for n in range(count)).encode()


def parquet(quantity):
    columns = {name: pa.array([value]) for name, value in GOOD.items()} | {"quantity": quantity}
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target)
    return target.getvalue()


CSV = b'event_id,producer,event_ts,metric,quantity,unit,region\na,p,2026-10-10T00:00:00Z,calls,1,request,"x\ny"\n'


@pytest.mark.parametrize(
    ("name", "content", "records", "rejected"),
    [
        ("a.jsonl", jsonl() + b"\n\n  \n", 3, 0),
        ("a.jsonl.gz", gzip.compress(jsonl()) + gzip.compress(b"\n" + jsonl(1)), 4, 0),
        ("a.jsonl.zst", zstandard.compress(jsonl()), 3, 0),
        ("a.csv", CSV + b"\nshort,row\nb,p,2026-10-10T00:00:00Z,calls,,request,\n", 3, 2),
        ("a.csv.gz", gzip.compress(CSV), 1, 0),
        ("a.csv.zst", zstandard.compress(CSV), 1, 0),
        ("a.parquet", parquet(pa.array([Decimal("0.000000001")])), 1, 0),
        ("a.parquet", parquet(pa.array([0.1])), 1, 0),
        ("a.parquet", parquet(pa.array([float("nan")])), 1, 1),
        ("a.txt", b"not a dump", None, None),
        (".hidden.jsonl", jsonl(), None, None),
    ],
)
def test_formats(house, name, content, records, rejected):
    house.land(files={name: content})
    batch = house.result.batches[1]
    assert (batch.records, batch.rejected, batch.rejected_files) == (records or 0, rejected or 0, 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", gzip.compress(jsonl(50))[:-9]),
        ("a.jsonl.gz", jsonl()),
        ("a.jsonl.zst", zstandard.compress(jsonl(50))[:-9]),
        ("a.csv", b""),
        ("a.parquet", b"PAR1 not really PAR1"),
    ],
)
def test_an_unreadable_file_stops_no_other(house, name, content):
    house.land({}, files={name: content})
    batch = house.result.batches[1]
    assert (batch.records, batch.attributed, batch.rejected_files) == (1, 1, 1)


# --- reference tables -------------------------------------------------------------------------------------------------

ACCOUNTS = [("account_id", "currency_code", "billing_timezone"), ("acme", "USD", "UTC")]
KEYS = [("key_type", "key_value", "account_id", "valid_from", "valid_to")]
TIERS = [("price_id", "tier_number", "up_to", "unit_price")]
PARENTS = ("account_id", "currency_code", "parent_account_id")
DISCOUNTS = ("discount_id", "account_id", "percent")
COMMITMENTS = ("commitment_id", "account_id", "currency_code", "minimum_amount")
CREDITS = ("credit_id", "account_id", "currency_code", "amount")
SUBSCRIPTIONS = ("subscription_id", "account_id", "sku", "currency_code", "monthly_amount")


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("accounts", [("account_id",), ("acme",)]),
        ("accounts", [*ACCOUNTS, ("acme", "USD", "UTC")]),
        ("accounts", [*ACCOUNTS, ("b", "XXZ", "UTC")]),
        ("accounts", [*ACCOUNTS, ("b", "USD", "Mars/Olympus")]),
        ("units", [("unit", "base_unit", "factor"), ("a", "b", "many")]),
        ("units", [("unit", "base_unit", "factor"), ("a", "b", "0")]),
        ("metrics", [("metric", "aggregation", "unit"), ("m", "guess", "u")]),
        ("attribution_keys", [*KEYS, ("api_key", "k", "a", "", "2026-02-01"), ("api_key", "k", "b", "2026-01-31", "")]),
        ("attribution_keys", [*KEYS, ("api_key", "k", "a", "2026-02-01", "2026-02-01")]),
        ("price_tiers", [*TIERS, ("p", "1", "10", "1"), ("p", "2", "10", "1")]),
        ("price_tiers", [*TIERS, ("p", "1", "", "1"), ("p", "2", "10", "1")]),
        ("price_tiers", [*TIERS, ("p", "2", "", "1")]),
        ("accounts", [PARENTS, ("acme", "USD", "acme")]),
        ("accounts", [PARENTS, ("acme", "USD", "c"), ("b", "USD", "acme"), ("c", "USD", "b"), ("d", "USD", "b")]),
        *(("discounts", [DISCOUNTS, ("d", "acme", percent)]) for percent in ("-0.1", "100.000000001", "1.0000000001")),
        ("commitments", [COMMITMENTS, ("c", "acme", "USD", "-1")]),
        ("credits", [CREDITS, ("c", "acme", "USD", "-0.01")]),
        ("subscriptions", [SUBSCRIPTIONS, ("s", "acme", "seats", "USD", "-1")]),
    ],
)
def test_a_broken_reference_file_is_refused_whole(house, table, rows):
    house.land({})
    house.land({}, **{table: rows})
    result = house.result
    assert [name for _, name, _ in result.history.refused] == [f"reference/{table}.csv"]
    assert result.batches[2].attributed == 1


def test_touching_validity_is_no_overlap(house):
    rows = [*KEYS, ("api_key", "k", "a", "", "2026-02-01"), ("api_key", "k", "b", "2026-02-01", "")]
    house.land(attribution_keys=rows)
    assert house.result.history.refused == []


def test_the_limits_of_agreed_terms_and_a_parent_that_does_not_exist_are_no_fault(house):
    house.land(
        accounts=[PARENTS, ("acme", "USD", "gone"), ("b", "USD", "acme"), ("c", "USD", "acme")],
        discounts=[DISCOUNTS, ("a", "acme", "0"), ("b", "acme", "100"), ("c", "acme", "12.1234567890")],
        commitments=[COMMITMENTS, ("c", "acme", "USD", "0")],
        credits=[CREDITS, ("c", "acme", "USD", "0")],
        subscriptions=[SUBSCRIPTIONS, ("s", "acme", "seats", "USD", "0")],
    )
    assert house.result.history.refused == []

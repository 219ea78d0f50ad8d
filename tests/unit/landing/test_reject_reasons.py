"""Each reject reason with a record that must have it, and its just-legal neighbour, which must be accepted."""

import json
from datetime import timedelta

import pytest

from orchestration.settings import parse_instant
from tests.unit.landing.conftest import ABSENT, event

LARGEST = "9" * 29 + "." + "9" * 9

PAIRS = [
    # reason, a record that has it, its legal neighbour
    ("malformed_record", '{"event_id": "cut off', event()),
    ("malformed_record", '["not an object"]', event(dims={})),
    (
        "malformed_record",
        json.dumps(event())[:-1] + ', "unit": "request"}',
        json.dumps(event())[:-1] + ', "dims": {"unit": "request"}}',
    ),
    ("malformed_record", json.dumps(event())[:-1] + ', "dims": {"a": 1, "a": 2}}', event(dims={"a": 1, "b": 1})),
    ("malformed_record", json.dumps(event()).encode()[:-1] + b', "region": "\xff"}', event(region="\u00ff")),
    (
        "malformed_record",
        json.dumps(event())[:-1] + ', "region": "\\ud800"}',
        json.dumps(event())[:-1] + ', "region": "\\ud83d\\ude00"}',
    ),
    ("malformed_record", json.dumps(event())[:-1] + ",}", json.dumps(event())[:-1] + " }"),
    ("malformed_record", json.dumps(event(dims={"a": 1})).replace("1}", "NaN}"), event(dims={"a": "NaN"})),
    ("malformed_record", event(dims=[1]), event(dims={"list": [1]})),
    ("malformed_record", event(account_id={"id": 1}), event(account_id=1)),
    ("unsupported_schema_version", event(schema_version=3), event(schema_version=2)),
    ("unsupported_schema_version", event(schema_version="v2"), event(schema_version="2")),
    *[
        (f"missing_{name}", event(**{name: ABSENT}), event(**{name: "1788000000000"}))
        for name in ("event_ts", "quantity")
    ],
    *[
        (f"missing_{name}", event(**{name: ABSENT}), event(**{name: "x"}))
        for name in ("event_id", "producer", "metric", "unit")
    ],
    *[(f"missing_{name}", event(**{name: None}), event()) for name in ("event_id", "quantity", "event_ts")],
    *[(f"missing_{name}", event(**{name: ""}), event()) for name in ("producer", "metric", "unit")],
    ("invalid_event_ts", event(event_ts="2026-09-15T10:00:00"), event(event_ts="2026-09-15T10:00:00+00")),
    ("invalid_event_ts", event(event_ts="2026-09-31T10:00:00Z"), event(event_ts="2026-09-30T10:00:00Z")),
    ("invalid_event_ts", event(event_ts="2026-09-15T10:00:60Z"), event(event_ts="2026-09-15T10:00:59.999999999Z")),
    ("invalid_event_ts", event(event_ts="2026-09-15"), event(event_ts="2026-09-15 00:00Z")),
    # a leap second stands at the end of a UTC month
    ("invalid_event_ts", event(event_ts="2026-09-15T23:59:60Z"), event(event_ts="2016-12-31T23:59:60Z")),
    ("invalid_event_ts", event(event_ts="2016-12-31T23:59:60+01:00"), event(event_ts="2017-01-01T00:59:60.5+01:00")),
    ("invalid_event_ts", event(event_ts="2016-12-31T23:59:61Z"), event(event_ts="2012-06-30 23:59:60Z")),
    (
        "event_ts_out_of_range",
        event(event_ts="9999-12-31T23:59:59-14:00", ingested_ts="9999-12-31T23:59:59Z"),
        event(event_ts="9999-12-31T23:59:59Z", ingested_ts="9999-12-31T23:59:59Z"),
    ),
    (
        "event_ts_out_of_range",
        event(event_ts=999_999_999_999_999, ingested_ts=999_999_999_999_999),
        event(event_ts=1788000000000, ingested_ts=999_999_999_999_999),
    ),
    ("invalid_event_ts", event(event_ts=1788000000000.5), event(event_ts=1788000000000)),
    ("invalid_event_ts", event(event_ts="soon"), event(event_ts="20260915T100000Z")),
    ("event_ts_out_of_range", event(event_ts="1999-12-31T23:59:59.999999Z"), event(event_ts="2000-01-01T00:00:00Z")),
    ("event_ts_out_of_range", event(event_ts="2026-10-02T02:00:00.000001Z"), event(event_ts="2026-10-02T02:00:00Z")),
    (
        "event_ts_out_of_range",
        event(event_ts="2026-09-15T10:00:00.001Z", ingested_ts="2026-09-14T10:00:00Z"),
        event(event_ts="2026-09-15T10:00:00.001Z", ingested_ts="2026-09-14T10:00:00.001Z"),
    ),
    ("event_ts_out_of_range", event(event_ts=10**17), event(event_ts=1788000000000)),
    ("invalid_quantity", event(quantity="many"), event(quantity="1")),
    ("invalid_quantity", event(quantity="NaN"), event(quantity="0")),
    ("invalid_quantity", json.dumps(event()).replace("1,", "NaN,", 1), event(quantity=0)),
    ("invalid_quantity", json.dumps(event()).replace("1,", "-Infinity,", 1), event(quantity=-0.0)),
    ("invalid_quantity", event(quantity="Infinity"), event(quantity="+1")),
    ("invalid_quantity", event(quantity=True), event(quantity=1)),
    ("invalid_quantity", event(quantity={"value": 1}), event(quantity=1)),
    ("invalid_quantity", event(quantity="0.0000000001"), event(quantity="0.000000001")),
    ("invalid_quantity", event(quantity="1" + "0" * 29), event(quantity=LARGEST)),
    ("invalid_quantity", json.dumps(event()).replace("1,", "1e-10,", 1), json.dumps(event()).replace("1,", "1e-9,", 1)),
    ("invalid_quantity", json.dumps(event()).replace("1,", "1e29,", 1), json.dumps(event()).replace("1,", "1e28,", 1)),
    (
        "invalid_quantity",
        json.dumps(event()).replace("1,", "1e999999999,", 1),
        json.dumps(event()).replace("1,", "0e999999999,", 1),
    ),
    ("invalid_quantity", event(quantity="1_000"), event(quantity="1000")),
    ("invalid_sampling_rate", event(sampling_rate=0), event(sampling_rate=0.000000001)),
    ("invalid_sampling_rate", event(sampling_rate="1.000000001"), event(sampling_rate=1)),
    ("invalid_sampling_rate", event(sampling_rate="0.0000000001"), event(sampling_rate="0.1000000000")),
    ("invalid_sampling_rate", event(sampling_rate="often"), event(sampling_rate=None)),
    ("oversized_field", event(event_id="é" * 128 + "x"), event(event_id="é" * 128)),
    ("oversized_field", event(sku="x" * 4097), event(sku="x" * 4096)),
    ("oversized_field", event(producer="é" * 2048 + "x"), event(producer="é" * 2048)),
    ("oversized_field", event(dims={"log": "x" * (1 << 20)}), event(dims={"log": "x" * 900_000})),
]


def test_each_reason_is_given_and_its_neighbour_is_accepted(land_lines):
    landed = land_lines(*[record for _, bad, good in PAIRS for record in (bad, good)])
    reasons = {row["row_number"]: row["reasons"] for row in landed.rejected}
    accepted = {row["row_number"] for row in landed.accepted}
    for place, (reason, bad, good) in enumerate(PAIRS):
        assert reasons.get(2 * place + 1) == [reason], f"{reason}: {str(bad)[:300]}"
        assert 2 * place + 2 in accepted, f"neighbour of {reason}: {str(good)[:300]} {reasons.get(2 * place + 2)}"
    assert landed.result.records == 2 * len(PAIRS)
    assert landed.result.rejected == landed.result.accepted == len(PAIRS)


def test_a_record_has_all_reasons_that_apply(land_lines):
    landed = land_lines(event(event_id="", unit=ABSENT, quantity="x", event_ts="y", sampling_rate=2))
    assert [row["reasons"] for row in landed.rejected] == [
        ["invalid_event_ts", "invalid_quantity", "invalid_sampling_rate", "missing_event_id", "missing_unit"]
    ]
    detail = landed.rejected[0]["detail"]
    for part in ('event_ts "y"', 'quantity "x"', 'sampling_rate "2"', "event_id is missing", "unit is missing"):
        assert part in detail
    assert landed.result.reject_reasons["missing_unit"] == 1


def test_an_unsupported_version_is_the_only_reason(land_lines):
    landed = land_lines({"schema_version": 7})
    assert landed.rejected[0]["reasons"] == ["unsupported_schema_version"]


def test_negative_quantities_follow_the_registry_of_the_same_landing(land, tmp_path):
    (tmp_path / "in").mkdir()
    header = "metric,aggregation,unit,allow_negative\n"
    (tmp_path / "in/metrics.csv").write_text(
        header + "api_requests,sum,request,false\nlevel,sum,unit,true\nplain,sum,unit,\n"
    )
    metrics = ["api_requests", "level", "plain", "unregistered"]
    lines = [json.dumps(event(metric=metric, quantity="-0.000000001")) for metric in metrics]
    lines.append(json.dumps(event(quantity="-0")))
    (tmp_path / "in/dump.jsonl").write_text("\n".join(lines))
    landed = land(tmp_path / "in")
    assert [(row["row_number"], row["reasons"]) for row in landed.rejected] == [
        (1, ["negative_quantity"]),
        (3, ["negative_quantity"]),
    ]


def test_a_changed_registry_counts_for_later_landings_only(land, tmp_path):
    (tmp_path / "metrics.csv").write_text("metric,aggregation,unit\napi_requests,sum,request\n")
    (tmp_path / "one.jsonl").write_text(json.dumps(event(quantity=-1)))
    assert land(tmp_path / "one.jsonl").result.accepted == 1
    assert land(tmp_path / "metrics.csv").result.batch_id == 2
    (tmp_path / "two.jsonl").write_text(json.dumps(event(quantity=-1)) + "\n")
    assert land(tmp_path / "two.jsonl").result.rejected == 1


def test_future_events_are_judged_by_the_landing_time_without_an_ingestion_time(land_lines):
    as_of = parse_instant("2026-10-01T02:00:00Z")
    edge = (as_of + timedelta(hours=24)).isoformat()
    assert land_lines(event(event_ts=edge), as_of=as_of).result.accepted == 1


@pytest.mark.parametrize("line", [b"", b"   ", b"\t\r"])
def test_blank_lines_are_no_records_but_count_as_lines(land_lines, line):
    landed = land_lines(event(), line, b"{", line, event())
    assert [row["row_number"] for row in landed.accepted] == [1, 5]
    assert [row["row_number"] for row in landed.rejected] == [3]
    assert landed.result.records == 3


def test_a_rejected_record_keeps_its_bytes(land_lines):
    raw = b'  {"event_id" : "\xfe\x00", "b":1.50,}\x07  '
    assert land_lines(raw + b"\r").rejected[0]["record"] == raw


def test_an_endless_line_is_rejected_without_being_held_whole(land, tmp_path):
    dump = tmp_path / "dump.jsonl"
    with dump.open("wb") as file:
        file.write(b"x" * (40 << 20))
        file.write(b"\n" + json.dumps(event()).encode())
    landed = land(dump)
    assert [row["row_number"] for row in landed.accepted] == [2]
    [row] = landed.rejected
    assert row["reasons"] == ["oversized_field"]
    assert str(40 << 20) in row["detail"]
    assert row["record"] == b"x" * (4 << 20)

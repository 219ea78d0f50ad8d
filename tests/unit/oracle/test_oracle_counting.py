"""The oracle's counting against figures worked out by hand: dates, identity, attribution, units, sampling."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

D = Decimal


def days(result, account_id="acme"):
    return {
        key.billing_date: usage.quantity for key, usage in result.usage_daily.items() if key.account_id == account_id
    }


def counts(result, batch_id=1):
    batch = result.batches[batch_id]
    parts = (batch.rejected, batch.duplicates, batch.held, batch.unattributed, batch.attributed)
    assert batch.records == sum(parts)
    return parts


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account_id", "event_ts", "billing_date"),
    [
        ("acme", "2026-09-30T23:59:59.999999Z", date(2026, 9, 30)),
        ("acme", "2026-10-01T00:00:00Z", date(2026, 10, 1)),
        ("asha", "2026-09-30T18:29:59.999Z", date(2026, 9, 30)),  # UTC+5:30
        ("asha", "2026-09-30T18:30:00Z", date(2026, 10, 1)),
        ("kiwi", "2026-09-26T11:59:59Z", date(2026, 9, 26)),  # UTC+12 before the change …
        ("kiwi", "2026-09-26T12:00:00Z", date(2026, 9, 27)),
        ("kiwi", "2026-09-27T10:59:59Z", date(2026, 9, 27)),  # … UTC+13 after it
        ("kiwi", "2026-09-27T11:00:00Z", date(2026, 9, 28)),
        ("york", "2026-11-01T03:59:59Z", date(2026, 10, 31)),  # UTC−4 before the change …
        ("york", "2026-11-01T04:00:00Z", date(2026, 11, 1)),
        ("york", "2026-11-02T04:59:59Z", date(2026, 11, 1)),  # … UTC−5 after it
        ("york", "2026-11-02T05:00:00Z", date(2026, 11, 2)),
    ],
)
def test_the_billing_date_is_the_account_s_own(house, account_id, event_ts, billing_date):
    house.land({"account_id": account_id, "event_ts": event_ts})
    assert days(house.result, account_id) == {billing_date: D(1)}


@pytest.mark.parametrize(
    ("account_id", "first_hour", "day", "hours"),
    [
        ("kiwi", datetime(2026, 9, 26, 12, tzinfo=UTC), date(2026, 9, 27), 23),
        ("york", datetime(2026, 11, 1, 4, tzinfo=UTC), date(2026, 11, 1), 25),
        ("york", datetime(2026, 10, 31, 4, tzinfo=UTC), date(2026, 10, 31), 24),
    ],
)
def test_a_day_has_23_24_or_25_hours(house, account_id, first_hour, day, hours):
    start = int(first_hour.timestamp()) - 3600 * 2
    house.land(*({"account_id": account_id, "event_ts": (start + 3600 * n) * 1000} for n in range(30)))
    result = house.result
    assert days(result, account_id)[day] == hours
    found = [key.usage_hour for key in result.usage_hourly if key.billing_date == day]
    assert min(found) == first_hour and len(found) == hours


def test_an_hour_that_midnight_cuts_is_two_rows(house):
    # Kolkata's midnight is 18:30 UTC
    house.land(
        {"account_id": "asha", "event_ts": "2026-10-05T18:29:00Z"},
        {"account_id": "asha", "event_ts": "2026-10-05T18:31:00Z"},
    )
    keys = list(house.result.usage_hourly)
    assert {key.usage_hour for key in keys} == {datetime(2026, 10, 5, 18, tzinfo=UTC)}
    assert {key.billing_date for key in keys} == {date(2026, 10, 5), date(2026, 10, 6)}


# --- identity ---------------------------------------------------------------------------------------------------------


def test_the_first_landed_record_counts_over_the_whole_history(house):
    house.land({"event_id": "a", "quantity": "5"}, {"event_id": "a", "quantity": "5.0"})
    house.land({"event_id": "a", "quantity": "7"}, {"event_id": "a", "producer": "other", "quantity": "1"})
    result = house.result
    assert counts(result, 1) == (0, 1, 0, 0, 1) and result.batches[1].conflicting == 0
    assert counts(result, 2) == (0, 1, 0, 0, 1) and result.batches[2].conflicting == 1
    assert sum(days(result).values()) == D(6)


def test_a_rejected_record_takes_no_identity(house):
    house.land({"event_id": "a", "quantity": "x"}, {"event_id": "a", "quantity": "2"})
    assert counts(house.result) == (1, 0, 0, 0, 1)


def test_files_are_ordered_by_name(house):
    line = '{"event_id":"a","producer":"p","event_ts":1790000000000,"metric":"calls","quantity":%d,"unit":"request"}'
    house.land(files={"b.jsonl": (line % 2).encode(), "a.jsonl": (line % 1).encode()})
    assert [usage.quantity for usage in house.result.unattributed.values()] == [D(1)]


def test_the_same_file_again_is_no_batch(house):
    line = b'{"event_id":"a","producer":"p","event_ts":1790000000000,"metric":"calls","quantity":1,"unit":"request"}'
    house.land(files={"a.jsonl": line})
    house.land(files={"other-name.jsonl": line})
    house.land(files={"a.jsonl": line + b"\n"})
    result = house.result
    assert result.history.batch_after_landing == [1, 1, 2]
    assert counts(result, 2) == (0, 1, 0, 0, 0)


# --- attribution ------------------------------------------------------------------------------------------------------

KEYS = [
    ("key_type", "key_value", "account_id", "valid_from", "valid_to"),
    ("api_key", "k", "acme", "", "2026-10-10T10:00:00Z"),
    ("api_key", "k", "asha", "2026-10-10T10:00:00Z", "2026-10-20T00:00:00Z"),
    ("namespace", "n", "kiwi", "", ""),
]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"account_id": "york", "api_key": "k"}, "york"),
        ({"account_id": "nobody", "api_key": "k"}, "acme"),  # the first key that resolves
        ({"api_key": "k", "event_ts": "2026-10-10T09:59:59.999999Z"}, "acme"),
        ({"api_key": "k", "event_ts": "2026-10-10T10:00:00Z"}, "asha"),  # half-open, at the instant
        ({"api_key": "k", "event_ts": "2026-10-20T00:00:00Z", "namespace": "n"}, "kiwi"),
        ({"api_key": "k", "event_ts": "2026-10-20T00:00:00Z"}, None),
        ({"resource_id": "n"}, None),
        ({}, None),
    ],
)
def test_the_first_key_that_resolves_as_of_the_event(house, fields, expected):
    house.land({"account_id": None, "event_ts": "2026-10-09T00:00:00Z"} | fields, attribution_keys=KEYS)
    result = house.result
    assert [key.account_id for key in result.usage_daily] == ([expected] if expected else [])
    assert counts(result)[3] == (0 if expected else 1)


def test_unattributed_usage_is_queued_under_its_first_key(house):
    house.land({"account_id": "nobody", "api_key": "x", "quantity": "2"}, {"account_id": None, "quantity": "3"})
    found = {(key.key_type, key.key_value): usage.quantity for key, usage in house.result.unattributed.items()}
    assert found == {("account_id", "nobody"): D(2), (None, None): D(3)}


def test_a_key_that_becomes_known_attributes_earlier_usage(house):
    house.land({"account_id": None, "namespace": "n"})
    house.land(attribution_keys=KEYS)
    result = house.result
    assert counts(result.as_of(1), 1) == (0, 0, 0, 1, 0)
    assert counts(result, 1) == (0, 0, 0, 0, 1)


# --- units, metrics, sampling -----------------------------------------------------------------------------------------


def test_held_until_the_registry_is_mended(house, tables):
    house.land({"metric": "new"}, {"unit": "furlong"}, {"unit": "GB"}, {"corrects": "gone", "correction": "retract"})
    house.land(metrics=[*tables["metrics"], ("new", "sum", "request", "", "")])
    result = house.result
    assert counts(result.as_of(1), 1) == (0, 0, 4, 0, 0)
    assert counts(result, 1) == (0, 0, 3, 0, 1)
    assert result.batches[1].held_reasons == {"unit": 2, "unknown_target": 1}


def test_units_convert_exactly_and_round_once(house):
    units = [
        ("unit", "base_unit", "factor"),
        ("request", "request", "1"),
        ("third", "request", "3"),
        ("ms", "second", "0.001"),
        ("hour", "second", "3600"),
        ("triplet", "third_base", "1"),
    ]
    metrics = [
        ("metric", "aggregation", "unit", "default_sku"),
        ("calls", "sum", "third", ""),
        ("time", "sum", "hour", ""),
    ]
    house.land(
        {"quantity": "2"},  # 2 ÷ 3 = 0.666666667 (rounded away)
        {"quantity": "2", "sampling_rate": "0.1"},  # 2 ÷ 3 ÷ 0.1 = 6.666666667: rounded once, not 6.66666667
        {"metric": "time", "quantity": "1", "unit": "ms"},  # 0.001 ÷ 3600 = 0.000000278
        units=units,
        metrics=metrics,
    )
    found = {key.metric: usage.quantity for key, usage in house.result.usage_monthly.items()}
    assert found == {"calls": D("7.333333334"), "time": D("0.000000278")}


def test_sampled_events_weigh_and_vary(house):
    house.land(
        {"quantity": "3", "sampling_rate": "0.25"},  # 12; 3² × 0.75 ÷ 0.0625 = 108
        {"metric": "starts", "quantity": "9", "sampling_rate": "0.1"},  # 10; 1 × 0.9 ÷ 0.01 = 90
        {"metric": "starts", "quantity": "9"},  # 1; 0
    )
    usages = {key.metric: usage for key, usage in house.result.usage_hourly.items()}
    assert (usages["calls"].quantity, usages["calls"].quantity_variance, usages["calls"].event_count) == (12, 108, 1)
    assert (usages["starts"].quantity, usages["starts"].quantity_variance, usages["starts"].event_count) == (11, 90, 2)


def test_the_sku_is_the_event_s_the_metric_s_or_the_metric(house, tables):
    house.land(
        {"sku": "own"},
        {},
        {"metric": "bare"},
        metrics=[*tables["metrics"], ("bare", "sum", "request", "", "")],
    )
    assert {key.sku for key in house.result.usage_daily} == {"own", "api", "bare"}


def test_peak_and_percentile_are_per_minute(house):
    # 20 minutes with 1 … 20; minute 20 also has 0.5 more: ⌈0.95 × 20⌉ = 19th smallest = 19, peak 20.5
    events = [{"event_ts": f"2026-10-10T12:{n:02d}:30Z", "quantity": str(n)} for n in range(1, 21)]
    house.land(*events, {"event_ts": "2026-10-10T12:20:59.999Z", "quantity": "0.5"})
    (usage,) = house.result.usage_monthly.values()
    assert (usage.peak_per_minute, usage.p95_per_minute) == (D("20.5"), D(19))

"""The oracle's corrections against outcomes and figures worked out by hand: what is taken back, superseded, held."""

from decimal import Decimal

import pytest

from tests.unit.oracle.test_oracle_counting import counts

D = Decimal


def retract(target, **fields):
    return {"corrects": target, "correction": "retract", "quantity": "999"} | fields


def replace(target, **fields):
    return {"corrects": target, "correction": "replace"} | fields


def used(result):
    """(the one month's quantity, its events); None: no row."""
    months = list(result.usage_monthly.values())
    assert len(months) <= 1
    return (months[0].quantity, months[0].event_count) if months else None


def reasons(result, batch_id=1):
    return dict(result.batches[batch_id].held_reasons)


# --- what is taken back -----------------------------------------------------------------------------------------------


def test_a_retraction_takes_back_and_brings_nothing(house):
    house.land({"event_id": "a", "quantity": "5"}, {"event_id": "b", "quantity": "3"})
    house.land(retract("a"))
    result = house.result
    assert used(result) == (3, 1)
    assert [(month.quantity, month.event_count) for month in result.as_of(1).monthly.values()] == [(8, 2)]
    # both records keep their place: the target as it was, the retraction with its target
    assert counts(result, 1) == (0, 0, 0, 0, 2) and counts(result, 2) == (0, 0, 0, 0, 1)


def test_a_replacement_counts_as_what_it_says_itself(house):
    house.land({"event_id": "a", "quantity": "5"})
    house.land(replace("a", quantity="7", event_ts="2026-10-11T00:00:00Z", region="eu"))
    (key,) = house.result.usage_daily
    assert (key.billing_date.day, key.region) == (11, "eu") and used(house.result) == (7, 1)


def test_what_is_taken_back_wholly_leaves_no_row_and_no_line(house):
    house.land({"event_id": "a"}, {"event_id": "u", "account_id": None})
    house.land(retract("a"), retract("u"))
    result = house.result
    assert (result.usage_hourly, result.usage_daily, result.usage_monthly, result.unattributed) == ({}, {}, {}, {})
    assert result.lines == {}
    assert counts(result, 2) == (0, 0, 0, 1, 1)


def test_a_correction_may_land_before_its_target(house):
    house.land(retract("a"), {"event_id": "b"})
    assert (counts(house.result, 1), reasons(house.result)) == ((0, 0, 1, 0, 1), {"unknown_target": 1})
    house.land({"event_id": "a", "quantity": "5"})
    assert used(house.result) == (1, 1)
    assert counts(house.result, 1) == (0, 0, 0, 0, 2) and counts(house.result, 2) == (0, 0, 0, 0, 1)


def test_a_duplicate_of_a_correction_has_no_effect(house):
    house.land({"event_id": "a", "quantity": "5"}, replace("a", event_id="r", quantity="7"))
    house.land(replace("a", event_id="r", quantity="7"), replace("a", event_id="r", quantity="100"))
    assert used(house.result) == (7, 1)
    assert counts(house.result, 2) == (0, 2, 0, 0, 0) and house.result.batches[2].conflicting == 1


def test_the_target_is_the_record_that_counts_of_the_same_producer(house):
    house.land(
        {"event_id": "a", "quantity": "5"},
        {"event_id": "a", "quantity": "6"},
        {"event_id": "a", "quantity": "10", "producer": "other"},
        retract("a"),
    )
    assert used(house.result) == (10, 1)


# --- several corrections ----------------------------------------------------------------------------------------------


def test_of_several_corrections_the_one_landed_last_is_in_effect(house):
    house.land({"event_id": "a", "quantity": "5"}, replace("a", quantity="6"), replace("a", quantity="7"))
    assert used(house.result) == (7, 1)
    house.land(replace("a", quantity="8"))
    assert used(house.result) == (8, 1)
    house.land(retract("a"))
    assert used(house.result) is None
    house.land(replace("a", quantity="9"))
    assert used(house.result) == (9, 1)


def test_what_is_superseded_stays_so_when_the_later_one_is_retracted(house):
    house.land({"event_id": "a", "quantity": "5"}, replace("a", event_id="r1", quantity="6"))
    house.land(replace("a", event_id="r2", quantity="7"))
    house.land(retract("r2"))
    assert used(house.result) is None


def test_retracting_a_replacement_does_not_bring_the_original_back(house):
    house.land({"event_id": "a", "quantity": "5"}, replace("a", event_id="r", quantity="7"), retract("r"))
    assert used(house.result) is None


def test_a_chain_of_replacements_counts_its_last(house):
    house.land({"event_id": "a", "quantity": "5"}, replace("a", event_id="r", quantity="6"))
    house.land(replace("r", event_id="s", quantity="7"))
    assert used(house.result) == (7, 1)


def test_two_replacements_of_each_other_take_each_other_back(house):
    house.land(replace("s", event_id="r"), replace("r", event_id="s"))
    assert used(house.result) is None and counts(house.result) == (0, 0, 0, 0, 2)


# --- what is held -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"corrects": "a"}, "incomplete_correction"),
        ({"correction": "retract"}, "incomplete_correction"),
        ({"corrects": "a", "correction": "amend"}, "incomplete_correction"),
        ({"corrects": "b", "correction": "retract"}, "unknown_target"),
        ({"corrects": "a", "correction": "retract", "producer": "other"}, "unknown_target"),
        ({"event_id": "x", "corrects": "x", "correction": "replace"}, "unknown_target"),
        ({"corrects": "t", "correction": "retract"}, "corrects_a_retraction"),
        ({"corrects": "t", "correction": "replace"}, "corrects_a_retraction"),
        ({"corrects": "a", "correction": "replace", "metric": "new"}, "unknown_metric"),
        ({"corrects": "a", "correction": "replace", "unit": "GB"}, "unit"),
    ],
)
def test_what_cannot_take_effect_is_held_and_takes_nothing_back(house, fields, reason):
    house.land({"event_id": "a", "quantity": "5"}, {"event_id": "c"}, retract("c", event_id="t"), fields)
    assert used(house.result) == (5, 1)
    assert (counts(house.result), reasons(house.result)) == ((0, 0, 1, 0, 3), {reason: 1})


def test_a_retraction_does_not_look_at_its_own_metric_unit_or_account(house):
    house.land({"event_id": "a", "quantity": "5"}, retract("a", metric="new", unit="furlong", account_id=None))
    assert used(house.result) is None and counts(house.result) == (0, 0, 0, 0, 2)


def test_a_replacement_takes_effect_when_it_is_released(house, tables):
    house.land({"event_id": "a", "quantity": "5"}, replace("a", metric="new", sku="api", quantity="7"))
    assert used(house.result) == (5, 1)
    house.land(metrics=[*tables["metrics"], ("new", "sum", "request", "", "")])
    assert used(house.result) == (7, 1)
    assert [key.metric for key in house.result.usage_monthly] == ["new"]


def test_a_held_correction_supersedes_nothing(house):
    house.land({"event_id": "a", "quantity": "5"}, replace("a", quantity="6"), replace("a", metric="new"))
    assert used(house.result) == (6, 1)


def test_a_held_target_can_be_retracted(house, tables):
    house.land({"event_id": "a", "metric": "new", "sku": "api"}, retract("a"))
    assert counts(house.result) == (0, 0, 2, 0, 0)
    house.land(metrics=[*tables["metrics"], ("new", "sum", "request", "", "")])
    assert used(house.result) is None and counts(house.result) == (0, 0, 0, 0, 2)


# --- after a close ----------------------------------------------------------------------------------------------------


def test_what_is_taken_back_after_a_close_is_adjusted_and_late(house):
    house.land(
        {"event_id": "a", "quantity": "50"}, {"event_id": "b", "quantity": "30"}, {"event_ts": "2026-11-05T00:00Z"}
    )
    house.close("2026-10")
    house.land(retract("a"), replace("b", quantity="20"))
    result = house.result
    # billed 80 × 0.10; known now 20 × 0.10
    (adjustment,) = result.adjustments
    assert (adjustment.quantity, adjustment.amount, adjustment.billing_period) == (-60, -6, "2026-11")
    assert [line.amount for line in result.lines.values()] == [8, D("0.10")]
    (late,) = result.late_usage.values()
    assert (late.quantity, late.event_count) == (-60, -1)

"""Corrections from landing to adjustment: each story's usage, worked out by hand, after each of four landings, of which two follow the month's close."""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import duckdb
import pytest

from orchestration import closing, landing, operations, warehouse
from orchestration.settings import Settings
from tests.dbt.test_project import failures
from tests.end_to_end.house import copied, rows, state

PERIOD = "2026-09"
LANDED = [datetime(2026, 10, day, tzinfo=UTC) for day in (1, 2, 7, 8)]
CLOSED_AT = datetime(2026, 10, 6, tzinfo=UTC)
NOW = datetime(2026, 10, 9, tzinfo=UTC)


class Record(NamedTuple):
    """An event: the landing that brings it, its id, quantity, what it corrects and how, its outcome in the end, and what else differs."""

    landing: int
    event_id: str
    quantity: str
    corrects: str | None = None
    correction: str | None = None
    outcome: str = "attributed"
    more: Mapping[str, Any] = MappingProxyType({})


class Story(NamedTuple):
    """Records of one account, and its usage (quantity, events) after each landing; `other`: of the metric registered by the third."""

    name: str
    records: list[Record]
    known: list[tuple[str, int]]
    held: Sequence[dict[str, int]] = ({}, {}, {}, {})
    other: str = "0"


NONE = ("0", 0)
LATE_METRIC = {"metric": "later_requests"}
LATER_MINUTE = {"event_ts": "2026-09-10T10:30:00Z"}
NEVER = {"metric": "never_registered"}

STORIES = [
    Story("retracted", [Record(1, "e", "10"), Record(1, "f", "5"), Record(2, "x", "99", "e", "retract")], [("15", 2)] + [("5", 1)] * 3),
    Story("replaced", [Record(1, "e", "10"), Record(2, "r", "7.5", "e", "replace")], [("10", 1)] + [("7.5", 1)] * 3),
    Story("in_one_landing", [Record(1, "x", "0", "e", "retract"), Record(1, "e", "10")], [NONE] * 4),
    Story("retraction_first", [Record(1, "x", "1", "e", "retract"), Record(2, "e", "10")], [NONE] * 4, [{"unknown_target": 1}, {}, {}, {}]),
    Story("replacement_first", [Record(1, "r", "7", "e", "replace"), Record(2, "e", "10")], [NONE] + [("7", 1)] * 3,
          [{"unknown_target": 1}, {}, {}, {}]),
    Story("target_after_the_close", [Record(1, "r", "7", "e", "replace"), Record(3, "e", "10")], [NONE] * 2 + [("7", 1)] * 2,
          [{"unknown_target": 1}] * 2 + [{}, {}]),
    Story("chain", [Record(1, "e", "10"), Record(2, "r", "7", "e", "replace"), Record(3, "s", "4", "r", "replace"), Record(4, "x", "0", "s", "retract")],
          [("10", 1), ("7", 1), ("4", 1), NONE]),
    Story("replacement_retracted", [Record(1, "e", "10"), Record(1, "r", "7", "e", "replace"), Record(2, "x", "0", "r", "retract")], [("7", 1)] + [NONE] * 3),
    Story("superseded", [Record(1, "e", "10"), Record(1, "r", "7", "e", "replace"), Record(2, "s", "3", "e", "replace")], [("7", 1)] + [("3", 1)] * 3),
    Story("superseded_by_a_retraction", [Record(1, "e", "10"), Record(2, "r", "7", "e", "replace"), Record(3, "x", "0", "e", "retract")],
          [("10", 1), ("7", 1), NONE, NONE]),
    Story("superseded_for_good", [Record(1, "e", "10"), Record(1, "r", "7", "e", "replace"), Record(2, "s", "3", "e", "replace"),
                                  Record(3, "x", "0", "s", "retract")], [("7", 1), ("3", 1), NONE, NONE]),
    Story("retraction_superseded", [Record(1, "e", "10"), Record(1, "x", "0", "e", "retract"), Record(2, "r", "7", "e", "replace")], [NONE] + [("7", 1)] * 3),
    Story("retraction_retracted", [Record(1, "e", "10"), Record(1, "x", "0", "e", "retract"), Record(2, "y", "1", "x", "retract", "held")], [NONE] * 4,
          [{}] + [{"corrects_a_retraction": 1}] * 3),
    Story("retraction_replaced", [Record(1, "e", "10"), Record(1, "x", "0", "e", "retract"), Record(2, "r", "1", "x", "replace", "held")], [NONE] * 4,
          [{}] + [{"corrects_a_retraction": 1}] * 3),
    Story("correction_twice", [Record(1, "e", "10"), Record(1, "r", "7", "e", "replace"), Record(2, "r", "7", "e", "replace", "duplicate"),
                               Record(3, "r", "8", "e", "replace", "duplicate")], [("7", 1)] * 4),
    Story("retraction_twice", [Record(1, "e", "10"), Record(2, "x", "0", "e", "retract"), Record(3, "x", "0", "e", "retract", "duplicate")],
          [("10", 1)] + [NONE] * 3),
    Story("target_again", [Record(1, "e", "10"), Record(2, "x", "0", "e", "retract"), Record(3, "e", "10", outcome="duplicate")], [("10", 1)] + [NONE] * 3),
    Story("replacement_registered_later", [Record(1, "e", "10"), Record(2, "r", "6", "e", "replace", more=LATE_METRIC)], [("10", 1)] * 2 + [NONE] * 2,
          [{}, {"unregistered_metric": 1}, {}, {}], other="6"),
    Story("superseded_while_held", [Record(1, "e", "10"), Record(1, "r", "6", "e", "replace", more=LATE_METRIC), Record(2, "s", "3", "e", "replace")],
          [("10", 1)] + [("3", 1)] * 3, [{"unregistered_metric": 1}] * 2 + [{}, {}]),
    Story("held_target", [Record(1, "e", "10", outcome="held", more=NEVER), Record(2, "x", "0", "e", "retract", "held")], [NONE] * 4,
          [{"unregistered_metric": 1}, {}, {}, {}]),
    Story("target_registered_later", [Record(1, "e", "10", more=LATE_METRIC), Record(1, "x", "0", "e", "retract")], [NONE] * 4),
    Story("retraction_of_a_waiting_replacement", [Record(1, "r", "7", "e", "replace"), Record(2, "x", "0", "r", "retract"), Record(3, "e", "10")], [NONE] * 4,
          [{"unknown_target": 1}, {}, {}, {}]),
    Story("each_the_other", [Record(1, "e", "10", "f", "replace"), Record(1, "f", "5", "e", "replace")], [NONE] * 4),
    Story("incomplete", [Record(1, "e", "1", correction="retract", outcome="held"), Record(1, "f", "2", "g", outcome="held"), Record(1, "g", "10"),
                         Record(1, "h", "4", "g", "undo", "held")], [("10", 1)] * 4, [{"incomplete_correction": 3}] * 4),
    Story("itself", [Record(1, "e", "10", "e", "retract", "held")], [NONE] * 4, [{"unknown_target": 1}] * 4),
    Story("another_producer", [Record(1, "e", "10"), Record(1, "x", "1", "e", "retract", "held", {"producer": "edge"})], [("10", 1)] * 4,
          [{"unknown_target": 1}] * 4),
    Story("mapped_after_its_retraction", [Record(1, "e", "10", more={"account_id": None, "api_key": "key-later"}),
                                          Record(2, "x", "0", "e", "retract")], [NONE] * 4),
    Story("replaced_and_mapped_later", [Record(1, "e", "10", more={"account_id": None, "api_key": "key-later-2"}),
                                        Record(2, "r", "7", "e", "replace", more={"account_id": None, "api_key": "key-later-2"})],
          [NONE] * 2 + [("7", 1)] * 2),
    Story("reduced_after_the_close", [Record(1, "e", "10"), Record(1, "f", "2"), Record(3, "r", "4", "e", "replace")], [("12", 2)] * 2 + [("6", 2)] * 2),
    Story("incomplete_named", [Record(1, "e", "1", correction="retract", outcome="held"), Record(2, "x", "0", "e", "retract", "held")], [NONE] * 4,
          [{"incomplete_correction": 1}] + [{"incomplete_correction": 1, "corrects_a_retraction": 1}] * 3),
    Story("moved_to_another_minute", [Record(1, "e", "10"), Record(1, "f", "1"), Record(2, "r", "10", "e", "replace", more=LATER_MINUTE)],
          [("11", 2)] * 4),
]  # fmt: skip


def tables(number: int) -> dict[str, str]:
    """The reference files of a landing."""
    accounts = "".join(f"{story.name},{story.name},UTC,USD\n" for story in STORIES)
    plans = "".join(f"{story.name},basic,,\n" for story in STORIES)
    booked = "".join(
        f"{story.name},{PERIOD},{story.name},calls,USD,{story.known[1][0]},2026-10-04T00:00:00Z\n"
        for story in STORIES
        if story.known[1] != NONE
    )
    metrics = "metric,aggregation,unit,allow_negative,default_sku\nrequests,sum,request,false,calls\n"
    keys = "key_type,key_value,account_id,team,valid_from,valid_to\n"
    later_keys = "api_key,key-later,mapped_after_its_retraction,,,\napi_key,key-later-2,replaced_and_mapped_later,,,\n"
    first = {
        "metrics": metrics,
        "units": "unit,base_unit,factor\nrequest,request,1\n",
        "skus": "sku,metric,sku_name,billable\ncalls,requests,Calls,true\nlater,later_requests,Later,false\n",
        "accounts": "account_id,account_name,billing_timezone,currency_code\n" + accounts,
        "account_plans": "account_id,plan_id,valid_from,valid_to\n" + plans,
        "prices": "price_id,plan_id,sku,region,currency_code,model,valid_from,valid_to\ncalls_price,basic,calls,*,USD,per_unit,,\n",
        "price_tiers": "price_id,tier_number,up_to,unit_price\ncalls_price,1,,1\n",
        "attribution_keys": keys,
    }
    later = {
        2: {"finance_ledger": "entry_id,billing_period,account_id,sku,currency_code,amount,posted_at\n" + booked},
        3: {"metrics": metrics + "later_requests,sum,request,false,later\n", "attribution_keys": keys + later_keys},
    }
    return first if number == 1 else later.get(number, {})


def events(number: int) -> list[dict[str, Any]]:
    """The records of a landing; event ids are a story's own."""
    found = []
    for story in STORIES:
        for record in story.records:
            if record.landing == number:
                event = {
                    "event_id": f"{story.name}-{record.event_id}",
                    "producer": "gateway",
                    "event_ts": "2026-09-10T10:05:00Z",
                    "metric": "requests",
                    "quantity": record.quantity,
                    "unit": "request",
                    "account_id": story.name,
                    "corrects": record.corrects and f"{story.name}-{record.corrects}",
                    "correction": record.correction,
                } | record.more
                found.append({name: value for name, value in event.items() if value is not None})
    return found


def write(folder: Path, number: int, files: list[list[dict[str, Any]]]) -> Path:
    """The dumps and reference tables of a landing."""
    folder.mkdir(parents=True)
    for table, text in tables(number).items():
        (folder / f"{table}.csv").write_text(text)
    for place, records in enumerate(files):
        (folder / f"dump-{place}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def usage(settings: Settings, metric: str = "requests") -> dict[str, tuple[Decimal, int]]:
    query = f"select account_id, quantity, event_count from usage.usage_monthly where metric = '{metric}'"
    return {account: (quantity, count) for account, quantity, count in rows(settings.warehouse, query)}


def expected(number: int) -> dict[str, tuple[Decimal, int]]:
    """The usage of each account that has some, after this landing."""
    return {
        s.name: (Decimal(s.known[number - 1][0]), s.known[number - 1][1])
        for s in STORIES
        if s.known[number - 1] != NONE
    }


# The ledger of decisions with what the lake calls each event.
ENTRIES = """(
    select entries.*, events.event_id
    from intermediate.int_events_attributed as entries
    inner join staging.stg_lake__usage_events as events
        on (entries.landed_batch_id, entries.file_order, entries.row_number) = (events.batch_id, events.file_order, events.row_number)
)"""


def held(settings: Settings) -> dict[str, dict[str, int]]:
    query = f"select regexp_extract(event_id, '^(.*)-[a-z]$', 1), outcome_reason, sum(entry * event_weight)::bigint from {ENTRIES}"
    found = rows(
        settings.warehouse, f"{query} where outcome = 'held' group by all having sum(entry * event_weight) <> 0"
    )
    listed = dict(
        rows(settings.warehouse, "select reason, sum(event_count)::bigint from usage.held_usage group by all")
    )
    by_story: dict[str, dict[str, int]] = {}
    for story, reason, count in found:
        by_story.setdefault(story, {})[reason] = count
    assert listed == dict(sum((Counter(reasons) for reasons in by_story.values()), Counter()))
    return by_story


def expected_held(number: int) -> dict[str, dict[str, int]]:
    return {story.name: story.held[number - 1] for story in STORIES if story.held[number - 1]}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Four landings, each followed by a build, the month closed after the second; what is known is checked on the way."""
    folder = tmp_path_factory.mktemp("corrections")
    settings = Settings(folder / "home", "1GB", 2)
    for number, landed_at in enumerate(LANDED, start=1):
        landing.land(settings, [write(folder / str(number), number, [events(number)])], landed_at)
        warehouse.build(settings, landed_at + timedelta(hours=1), test=False)
        assert held(settings) == expected_held(number), number
        if number <= 2:
            assert usage(settings) == expected(number), number
        if number == 2:
            operations.month_end(settings, PERIOD, CLOSED_AT)
    warehouse.build(settings, NOW)
    return settings


def test_a_closed_month_stays_and_the_rest_is_late(closed: Settings) -> None:
    assert usage(closed) == expected(2)
    late = rows(closed.warehouse, "select account_id, metric, quantity, event_count from usage.late_usage")
    before, after = expected(2), expected(4)
    zero = (Decimal(0), 0)
    differences = {
        name: tuple(a - b for a, b in zip(after.get(name, zero), before.get(name, zero), strict=True))
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }
    assert {account: figures for account, metric, *figures in late if metric == "requests"} == {
        name: list(figures) for name, figures in differences.items()
    }
    others = {story.name: Decimal(story.other) for story in STORIES if story.other != "0"}
    assert {row[0]: row[2] for row in late if row[1] == "later_requests"} == others


def test_every_landing_stays_readable(closed: Settings) -> None:
    """What was known after a landing is a filter of the postings."""
    for number in range(1, 5):
        query = f"""
            select account_id, sum(quantity), sum(event_count) from intermediate.int_usage_postings
            where batch_id <= {number} and metric = 'requests' group by all having sum(event_count) <> 0
        """
        known = {account: (quantity, count) for account, quantity, count in rows(closed.warehouse, query)}
        assert known == expected(number), number


def test_adjustments_bring_each_account_to_what_is_known(closed: Settings) -> None:
    billed = rows(
        closed.warehouse,
        f"select account_id, sum(amount) from billing.invoice_lines where origin_period = '{PERIOD}' group by all having sum(amount) <> 0",
    )
    assert dict(billed) == {name: quantity for name, (quantity, _) in expected(4).items()}
    adjusted = rows(
        closed.warehouse,
        "select account_id, sum(amount) from billing.invoice_lines where line_type = 'adjustment' group by all having sum(amount) <> 0",
    )
    differences = Counter({name: quantity for name, (quantity, _) in expected(4).items()})
    differences.subtract({name: quantity for name, (quantity, _) in expected(2).items()})
    assert dict(adjusted) == {name: amount for name, amount in differences.items() if amount}


def test_every_record_has_one_outcome(closed: Settings) -> None:
    """Rule 8 with its five terms: what is taken back, and what takes back, stays in the count of its outcome."""
    expected_counts = Counter((record.landing, record.outcome) for story in STORIES for record in story.records)
    found = rows(
        closed.warehouse,
        "select batch_id, duplicates, held, unattributed, attributed, difference from operations.event_conservation",
    )
    names = ("duplicate", "held", "unattributed", "attributed")
    assert {
        (batch, name): count for batch, *counts, _ in found for name, count in zip(names, counts, strict=True) if count
    } == dict(expected_counts)
    assert {difference for *_, difference in found} == {0}


def test_a_retraction_stands_where_its_target_stands(closed: Settings) -> None:
    query = f"""
        select outcome, key_type, key_value, account_id, usage_hour, billing_date, metric, sku, region, unit, quantity, event_weight
        from {ENTRIES} where event_id = 'mapped_after_its_retraction-x' and batch_id = {{}} and entry = 1
    """
    hour = datetime(2026, 9, 10, 10)
    place = (hour, hour.date(), "requests", "calls", "global", "request", Decimal(0), 0)
    assert rows(closed.warehouse, query.format(2)) == [("unattributed", "api_key", "key-later", None, *place)]
    account = ("api_key", "key-later", "mapped_after_its_retraction")
    assert rows(closed.warehouse, query.format(3)) == [("attributed", *account, *place)]


def test_the_peak_follows_a_replacement_that_keeps_the_hour(closed: Settings) -> None:
    """10 in the minute of 10:05 beside 1; the replacement's 10 are at 10:30: the hour is the same, the peak is 10 and no more 11."""
    [(peak,)] = rows(
        closed.warehouse, "select peak_per_minute from usage.usage_monthly where account_id = 'moved_to_another_minute'"
    )
    assert peak == 10


def test_verify_finds_nothing_and_a_rebuild_gives_the_same(closed: Settings) -> None:
    assert closing.verify(closed).problems == []
    before = state(closed)
    warehouse.build(closed, NOW, full_refresh=True)
    assert state(closed) == before


@pytest.mark.parametrize(
    ("weight", "event_id", "test"),
    [
        (1, "retracted-e", "no_corrected_event_counts"),
        (1, "replacement_registered_later-e", "no_corrected_event_counts"),
        (0, "retracted-f", "no_event_is_taken_back_without_a_correction"),
        (0, "another_producer-e", "no_event_is_taken_back_without_a_correction"),
    ],
)
def test_each_data_test_fails_on_the_damage_it_is_for(
    closed: Settings, tmp_path: Path, weight: int, event_id: str, test: str
) -> None:
    home = copied(closed, tmp_path / "home")
    assert failures(home, test) == []
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute(
            """
            update intermediate.int_events_decided as entries set event_weight = $weight from staging.stg_lake__usage_events as events
            where events.event_id = $event_id
                and (entries.landed_batch_id, entries.file_order, entries.row_number) = (events.batch_id, events.file_order, events.row_number)
            """,
            {"weight": weight, "event_id": event_id},
        )
    assert failures(home, test) == [test]


def test_figures_do_not_depend_on_files_rows_or_builds(tmp_path: Path) -> None:
    """Every landing cut into files with its records in any order, built once at the end."""
    dice = random.Random(5)
    settings = Settings(tmp_path / "home", "1GB", 2)
    for number, landed_at in enumerate(LANDED, start=1):
        records = events(number)
        dice.shuffle(records)
        cut = dice.randrange(len(records))
        landing.land(settings, [write(tmp_path / str(number), number, [records[:cut], records[cut:]])], landed_at)
    warehouse.build(settings, NOW)
    assert usage(settings) == expected(4)
    assert held(settings) == expected_held(4)
    # finance booked what was known after the second landing; each difference since then has its cause
    booked, known = expected(2), expected(4)
    causes = rows(
        settings.warehouse, "select account_id, cause from finance.ledger_reconciliation where status = 'break'"
    )
    assert dict(causes) == {
        name: "late_usage" if name in booked else "missing_in_ledger"
        for name in booked.keys() | known.keys()
        if booked.get(name) != known.get(name)
    }

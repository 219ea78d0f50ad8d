"""A replayed record counts once, in its own batch, and every figure walks back to the file and row that first held it."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from orchestration import landing, operations, warehouse
from orchestration.settings import Settings
from tests.end_to_end.house import rows, state

TABLES = {
    "units": "unit,base_unit,factor\nrequest,request,1\n",
    "skus": "sku,metric,sku_name,billable\ncalls,requests,Calls,true\n",
    "accounts": "account_id,account_name,billing_timezone,currency_code\nacme,Acme,UTC,USD\n",
    "account_plans": "account_id,plan_id,valid_from,valid_to\nacme,basic,,\n",
    "prices": "price_id,plan_id,sku,region,currency_code,model,valid_from,valid_to\np,basic,calls,*,USD,per_unit,,\n",
    "price_tiers": "price_id,tier_number,up_to,unit_price\np,1,,1\n",
}
METRICS = "metric,aggregation,unit,allow_negative,default_sku\nrequests,sum,request,{},calls\n"


def on(day: int) -> datetime:
    return datetime(2026, 10, day, tzinfo=UTC)


def record(event_id: str, quantity: str) -> str:
    event = {"event_id": event_id, "producer": "gateway", "event_ts": "2026-09-10T10:05:00Z", "metric": "requests"}
    return json.dumps(event | {"quantity": quantity, "unit": "request", "account_id": "acme"}) + "\n"


def drop(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        suffix = "jsonl" if name.startswith("dump") else "csv"
        (folder / f"{name}.{suffix}").write_text(text)
    return folder


def test_a_replayed_record_is_counted_once_and_walks_back_to_its_file(home: Settings, tmp_path: Path) -> None:
    dump = record("e1", "5") + record("e2", "-2") + record("e3", "x")
    landing.land(home, [drop(tmp_path / "1", dump=dump, metrics=METRICS.format("false"), **TABLES)], on(1))
    landing.land(home, [drop(tmp_path / "2", metrics=METRICS.format("true"))], on(2))
    warehouse.build(home, on(2))
    assert rows(home.warehouse, "select quantity, event_count from usage.usage_monthly") == [(Decimal(5), 1)]

    assert landing.replay(home, as_of=on(3)).replayed == 1
    assert landing.replay(home, as_of=on(3)).batch_id is None
    # the producer sends the same record again, mended in its own way: the replayed one landed first
    landing.land(home, [drop(tmp_path / "4", dump=record("e2", "-2") + record("e3", "4"))], on(4))
    warehouse.build(home, on(5))

    assert rows(home.warehouse, "select quantity, event_count from usage.usage_monthly") == [(Decimal(7), 3)]
    batches = "select batch_id, records, rejected, replayed from operations.batches order by all"
    assert rows(home.warehouse, batches) == [(1, 3, 2, 0), (2, 0, 0, 0), (3, 1, 0, 1), (4, 2, 0, 0)]
    conservation = (
        "select batch_id, rejected, duplicates, attributed, difference from operations.event_conservation order by all"
    )
    assert rows(home.warehouse, conservation) == [(1, 2, 0, 1, 0), (2, 0, 0, 0, 0), (3, 0, 0, 1, 0), (4, 0, 1, 1, 0)]
    ingested = "select ingested_ts from intermediate.int_events_attributed where batch_id = 3"
    assert rows(home.warehouse, ingested) == [(on(1).replace(tzinfo=None),)]

    [(line,)] = rows(home.warehouse, "select line_id from billing.invoice_lines where line_type = 'usage'")
    explained = operations.explain(home, line)
    assert explained["adds_up"]
    files = {
        (row["batch_id"], row["replayed_batch_id"], row["file_name"], row["quantity"]) for row in explained["files"]
    }
    assert files == {
        (1, None, "dump.jsonl", Decimal(5)),
        (3, 1, "dump.jsonl", Decimal(-2)),
        (4, None, "dump.jsonl", Decimal(4)),
    }
    assert {(row["batch_id"], row["row_number"]) for row in explained["events"]} == {(1, 1), (3, 2), (4, 2)}

    before = state(home)
    warehouse.build(home, on(5), full_refresh=True)
    assert state(home) == before

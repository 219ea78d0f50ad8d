"""Ids of events: a UUID lies in the lake as 16 bytes and reads as it was sent; only the same text is the same id; and a lake whose files were
written before UUIDs had a column of their own gives the same figures."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.dbt.small_house import Row, SmallHouse

UUID = "909c3495-55fe-398e-f167-5a577a43fa1a"
IDS = [
    UUID, UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f" {UUID}", "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff", "0", "evt-1",
]  # fmt: skip
REFERENCES = {
    "metrics": [{"metric": "calls", "aggregation": "sum", "unit": "call"}],
    "units": [{"unit": "call", "base_unit": "call", "factor": 1}],
    "skus": [{"sku": "calls", "metric": "calls"}],
    "accounts": [{"account_id": "acme", "billing_timezone": "UTC", "currency_code": "USD"}],
}


def event(event_id: str, quantity: int) -> Row:
    return {
        "event_id": event_id, "metric": "calls", "account_id": "acme", "event_ts": "2026-11-03T10:00:00Z",
        "quantity": quantity, "unit": "call",
    }  # fmt: skip


@pytest.fixture(scope="module", params=["none", "the first", "all"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SmallHouse:
    """Each id twice: what lands second, and counts more, is a duplicate. Some files lie there as an earlier version wrote them."""
    house = SmallHouse(tmp_path_factory.mktemp("ids"), **REFERENCES)
    house.land("2026-11-04 00:00", *(event(event_id, 1) for event_id in IDS))
    house.land("2026-11-05 00:00", *(event(event_id, 100) for event_id in reversed(IDS)))
    parts = sorted(house.settings.lake.glob("usage_events/*/*/*.parquet"))
    assert len(parts) == 2
    for part in {"none": [], "the first": parts[:1], "all": parts}[request.param]:
        as_before(part)
    house.build("2026-11-06 00:00")
    return house


def as_before(part: Path) -> None:
    events = pq.ParquetFile(part).read()
    texts = [None if uuid is None else str(uuid) for uuid in events["event_uuid"].to_pylist()]
    ids = pc.coalesce(events["event_id"], pa.chunked_array([pa.array(texts, pa.string())]))
    place = events.schema.get_field_index("event_id")
    part.chmod(0o600)
    pq.write_table(events.set_column(place, "event_id", ids).drop_columns(["event_uuid"]), part)


def test_ids_read_as_they_were_sent(house: SmallHouse) -> None:
    read = house.rows("select event_id from staging.stg_lake__usage_events order by batch_id, row_number")
    assert [event_id for (event_id,) in read] == IDS + IDS[::-1]


def test_only_the_same_text_is_the_same_id(house: SmallHouse) -> None:
    assert house.rows("select event_count, quantity from usage.usage_monthly") == [(len(IDS), Decimal(len(IDS)))]


def test_uuids_take_sixteen_bytes(tmp_path: Path) -> None:
    house = SmallHouse(tmp_path, **REFERENCES)
    house.land("2026-11-04 00:00", *(event(event_id, 1) for event_id in IDS))
    [part] = house.settings.lake.glob("usage_events/*/*/*.parquet")
    events = pq.ParquetFile(part).read()
    assert events.schema.field("event_uuid").type.storage_type == pa.binary(16)
    stored = zip(events["event_uuid"].to_pylist(), events["event_id"].to_pylist(), strict=True)
    uuids = {0, 5, 6}
    assert [(str(uuid), text) if text is None else text for uuid, text in stored] == [
        (event_id, None) if place in uuids else event_id for place, event_id in enumerate(IDS)
    ]

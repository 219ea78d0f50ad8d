"""Accepted events in the form in which they lie in the lake: an id that is a UUID as its 16 bytes."""

from contextlib import closing

import duckdb
import pyarrow as pa

from orchestration.landing.engine import run
from orchestration.landing.lake import LAKE_EVENTS

# Only what reads the same when it is written out again: `{…}`, capitals and missing hyphens are other ids.
_SPLIT = """
    with cast_ids as (select *, try_cast(event_id as uuid) as as_uuid from events),
    judged as (select *, coalesce(as_uuid::varchar = event_id, false) as is_uuid from cast_ids)
    select
        row_number,
        case when is_uuid then as_uuid end as event_uuid,
        case when not is_uuid then event_id end as event_id
    from judged"""


def stored(engine: duckdb.DuckDBPyConnection, accepted: pa.Table) -> pa.Table:
    """The events in lake.LAKE_EVENTS. Reading back, an event's id is `coalesce(event_id, event_uuid::varchar)`."""
    with closing(engine.cursor()) as own:
        own.execute("set session arrow_lossless_conversion = true")  # as bytes, not as text again
        ids = run(own, _SPLIT, "events", accepted.select(["row_number", "event_id"]))
    columns = dict(zip(accepted.column_names, accepted.columns, strict=True)) | {
        name: ids[name] for name in ("event_id", "event_uuid")
    }
    return pa.table({name: columns[name] for name in LAKE_EVENTS.names}, schema=LAKE_EVENTS)

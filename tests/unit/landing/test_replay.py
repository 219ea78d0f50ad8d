"""Replay: rejected records that today's rules accept land again, once, with their first landing in the provenance."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from orchestration import landing
from orchestration.cli import main
from orchestration.errors import UsageWarehouseError
from orchestration.landing import batches
from orchestration.settings import Settings
from tests.unit.landing.conftest import LANDED_AT, Landed, event

LATER = LANDED_AT + timedelta(days=3)
METRICS = "metric,aggregation,unit,allow_negative\napi_requests,sum,request,{}\n"


def metrics(folder: Path, allow_negative: bool) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "metrics.csv"
    path.write_text(METRICS.format(str(allow_negative).lower()))
    return path


def lines(path: Path, *records: dict | bytes) -> Path:
    path.write_bytes(
        b"".join((record if isinstance(record, bytes) else json.dumps(record).encode()) + b"\n" for record in records)
    )
    return path


def csv_dump(path: Path, *records: dict) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for record in records for name in record)))
    writer.writeheader()
    writer.writerows(records)
    path.write_text(text.getvalue())
    return path


def parquet_dump(path: Path, *records: dict) -> Path:
    pq.write_table(pa.Table.from_pylist(list(records)), path)
    return path


def replay(settings: Settings, **options) -> landing.ReplayResult:
    return landing.replay(settings, as_of=LATER, **options)


def rows_of(settings: Settings, batch_id: int, kind: str = "usage_events") -> list[dict]:
    class Result:
        pass

    result = Result()
    result.batch_id = batch_id
    landed = Landed(result, settings.home)
    return landed.accepted if kind == "usage_events" else landed.rejected


def fingerprint(settings: Settings, batch_id: int) -> dict[str, bytes]:
    paths = [*settings.lake.glob(f"*/*/batch={batch_id}/*"), settings.lake / "batches" / f"batch={batch_id}.json"]
    return {path.name + path.parent.parent.parent.name: path.read_bytes() for path in paths}


@pytest.fixture
def refused(settings: Settings, tmp_path: Path) -> Settings:
    """Three dumps with negative quantities that the registry refuses, beside a sound event and one that is broken for good."""
    dumps = tmp_path / "dumps"
    metrics(dumps, allow_negative=False)
    lines(
        dumps / "a.jsonl",
        event(event_id="a-1"),
        event(event_id="a-2", quantity=-2.5, ingested_ts="2026-09-15T11:00:00Z", dims={"note": "x"}),
        event(event_id="a-3", quantity="-3", unit=None),
        b"no record",
        event(event_id="a-5", quantity=-5),
    )
    csv_dump(
        dumps / "b.csv",
        event(event_id="b-1", quantity="-1", dims='{"b": 1.50, "a": "x, y"}', comment='says "so"\nand more', sku=""),
        event(event_id="b-2", quantity="7"),
        event(event_id="b-3", quantity="-3.000000001", comment="last"),
    )
    parquet_dump(dumps / "c.parquet", event(event_id="c-1", quantity=-4, dims={"k": "v"}))
    result = landing.land(settings, [dumps], LANDED_AT)
    assert (result.accepted, result.rejected) == (2, 7)
    assert result.reject_reasons == {"malformed_record": 1, "missing_unit": 1, "negative_quantity": 6}
    return settings


@pytest.fixture
def allowed(refused: Settings, tmp_path: Path) -> Settings:
    """The same, after the registry has been mended."""
    landing.land(refused, [metrics(tmp_path / "mended", allow_negative=True)], LANDED_AT + timedelta(days=1))
    return refused


def test_nothing_lands_while_the_rules_stay(refused: Settings) -> None:
    result = replay(refused)
    assert (result.batch_id, result.replayed, result.looked_at, result.already_replayed) == (None, 0, 7, 0)
    assert result.still_rejected == {"missing_unit": 1, "negative_quantity": 6}
    assert result.not_replayable == {"unreadable": 1}
    assert [manifest["batch_id"] for manifest in landing.manifests(refused)] == [1]
    assert not batches.staging(refused).exists()


def test_what_is_accepted_now_lands_with_its_first_landing(allowed: Settings) -> None:
    before = fingerprint(allowed, 1)
    result = replay(allowed)
    assert (result.batch_id, result.replayed, result.by_reason) == (3, 5, {"negative_quantity": 5})
    assert (result.still_rejected, result.not_replayable) == ({"missing_unit": 1}, {"unreadable": 1})
    assert fingerprint(allowed, 1) == before, "what was rejected stays where it is"

    first = LANDED_AT.replace(tzinfo=None)
    found = {row["event_id"]: row for row in rows_of(allowed, 3)}
    assert {
        name: (row["file_order"], row["row_number"], format(row["quantity"], "f")) for name, row in found.items()
    } == {
        "a-2": (1, 2, "-2.500000000"),
        "a-5": (1, 5, "-5.000000000"),
        "b-1": (2, 1, "-1.000000000"),
        "b-3": (2, 3, "-3.000000001"),
        "c-1": (3, 1, "-4.000000000"),
    }
    ingested = {name: row["ingested_ts"] for name, row in found.items()}
    assert ingested == {"a-2": first.replace(month=9, day=15, hour=11)} | dict.fromkeys(
        ("a-5", "b-1", "b-3", "c-1"), first
    )
    texts = {name: (row["dims"], row["extra"]) for name, row in found.items()}
    assert texts == {
        "a-2": ('{"note":"x"}', None),
        "a-5": (None, None),
        "b-1": ('{"a":"x, y","b":1.50}', '{"comment":"says \\"so\\"\\nand more"}'),
        "b-3": (None, '{"comment":"last"}'),
        "c-1": ('{"k":"v"}', None),
    }


def test_the_manifest_names_the_first_landing(allowed: Settings) -> None:
    replay(allowed)
    first, _, third = landing.manifests(allowed)
    origin = {file["file_order"]: file for file in first["files"]}
    assert len(third["files"]) == 3
    for file in third["files"]:
        source = origin[file["replay_of"]["file_order"]]
        assert file["replay_of"]["batch_id"] == 1
        assert {name: file[name] for name in ("file_name", "sha256", "bytes", "format")} == {
            name: source[name] for name in ("file_name", "sha256", "bytes", "format")
        }
        assert (file["records"], file["accepted"], file["rejected"], file["status"]) == (
            file["accepted"],
            file["accepted"],
            0,
            "landed",
        )
    assert [file["records"] for file in third["files"]] == [2, 2, 1]
    assert sum(part["rows"] for part in third["lake_files"]) == 5


def test_replaying_twice_is_a_no_op(allowed: Settings) -> None:
    replay(allowed)
    again = replay(allowed)
    assert (again.batch_id, again.replayed, again.already_replayed) == (None, 0, 5)
    assert len(landing.manifests(allowed)) == 3


def test_the_dump_itself_is_still_known_by_its_first_batch(allowed: Settings, tmp_path: Path) -> None:
    replay(allowed)
    result = landing.land(allowed, [tmp_path / "dumps" / "a.jsonl"], LATER)
    assert result.batch_id is None and [known.batch_id for known in result.already_landed] == [1]


def test_a_dry_run_lands_nothing(allowed: Settings) -> None:
    result = replay(allowed, dry_run=True)
    assert (result.batch_id, result.replayed, result.dry_run) == (None, 5, True)
    assert len(landing.manifests(allowed)) == 2 and not batches.staging(allowed).exists()
    assert replay(allowed).replayed == 5


def test_batch_and_reason_narrow_it_down(allowed: Settings) -> None:
    assert replay(allowed, reason="missing_unit").looked_at == 1
    assert replay(allowed, batch_id=2).looked_at == 0
    assert replay(allowed, batch_id=1, reason="negative_quantity", dry_run=True).replayed == 5
    with pytest.raises(UsageWarehouseError, match="no batch 9"):
        replay(allowed, batch_id=9)


def test_the_time_of_the_first_landing_judges(settings: Settings, tmp_path: Path) -> None:
    """An event two days in the future of its landing stays rejected, although that future is past when it is replayed."""
    future = event(event_ts=(LANDED_AT + timedelta(days=2)).isoformat())
    landing.land(settings, [lines(tmp_path / "dump.jsonl", future)], LANDED_AT)
    result = replay(settings)
    assert (result.replayed, result.still_rejected) == (0, {"event_ts_out_of_range": 1})


def test_a_masked_key_is_not_taken_for_the_key(settings: Settings, tmp_path: Path) -> None:
    """The lake keeps a rejected record with addresses masked: as a key, the pseudonym is not what the producer sent."""
    dumps = tmp_path / "dumps"
    metrics(dumps, allow_negative=False)
    lines(
        dumps / "a.jsonl",
        event(event_id="1", quantity=-1, api_key="ann@example.org"),
        event(event_id="bob@example.org", quantity=-1),
        event(event_id="3", quantity=-1, dims={"user": "ann@example.org"}),
    )
    csv_dump(
        dumps / "b.csv",
        event(event_id="4", quantity="-1", namespace="ann@example.org"),
        event(event_id="5", quantity="-1", email="ann@example.org"),
    )
    landing.land(settings, [dumps], LANDED_AT)
    landing.land(settings, [metrics(tmp_path / "mended", allow_negative=True)], LANDED_AT)
    result = replay(settings)
    assert (result.replayed, result.not_replayable) == (2, {"masked_field": 3})
    assert [row["event_id"] for row in rows_of(settings, 3)] == ["3", "5"]
    # the same pseudonym as if it had been accepted at once
    landing.land(
        settings, [lines(tmp_path / "sound.jsonl", event(event_id="6", dims={"user": "ann@example.org"}))], LATER
    )
    assert rows_of(settings, 4)[0]["dims"] == rows_of(settings, 3)[0]["dims"]


def test_a_csv_record_without_its_header_cannot_be_read(allowed: Settings) -> None:
    """Batches that landed before headers were kept: their other records are replayed."""
    [part] = (allowed.lake / "rejected_events").glob("*/batch=1/*.parquet")
    pq.write_table(pq.ParquetFile(part).read().drop_columns(["header"]), part)
    result = replay(allowed)
    assert (result.replayed, result.not_replayable) == (3, {"header_not_kept": 2, "unreadable": 1})


def test_a_killed_replay_leaves_nothing(allowed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(batches, "seal", lambda manifest: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            replay(allowed)
    assert len(landing.manifests(allowed)) == 2
    result = replay(allowed)
    assert (result.batch_id, result.replayed) == (3, 5)
    assert not (allowed.scratch / "replay").exists()


def test_the_command(allowed: Settings) -> None:
    run = lambda *arguments: CliRunner().invoke(main, ["replay", "--home", str(allowed.home), *arguments])  # noqa: E731
    shown = run("--dry-run")
    assert shown.exit_code == 0 and "5 would land again" in shown.output and "masked" not in shown.output
    result = run("--json", "--as-of", LATER.isoformat())
    assert result.exit_code == 0
    assert json.loads(result.output)["replayed"] == 5 and json.loads(result.output)["batch_id"] == 3
    assert "none can land again; 5 had before" in run().output
    assert run("--batch", "77").exit_code == 1

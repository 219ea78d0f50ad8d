"""Rule 4: what people planted reaches no byte of a home but the inbox, in any format, and the same person keeps one pseudonym."""

import json
import re
import stat
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from orchestration import landing
from orchestration.errors import UsageWarehouseError
from orchestration.landing.pii import Redactor
from orchestration.settings import Settings
from tests.faults.privacy.modes import too_open
from tests.faults.privacy.planting import EMAIL, PHONE, PLANTED, found, planted_in

Home = tuple[Settings, dict[str, int], str]


def test_the_scan_finds_what_was_planted_in_every_dump_that_can_be_scanned(lived_in: Home) -> None:
    """Otherwise a scan that finds nothing would prove nothing."""
    settings, _, _ = lived_in
    planted = settings.inbox / "events" / "planted"
    seen = {hit.split(" in ")[1] for hit in found(planted)}
    assert {"plain.jsonl", "table.csv", "table.parquet", "twice.csv"} <= seen
    assert set(planted_in((planted / "plain.jsonl").read_text(errors="replace"))) == set(PLANTED) - {
        "4111-1111",
        "2025550143",
    }


def test_nothing_planted_stands_anywhere_in_the_home(lived_in: Home) -> None:
    settings, accepted, said = lived_in
    [manifest] = landing.manifests(settings)
    per_file = {Path(file["file_name"]).name: file for file in manifest["files"]}
    assert {name: per_file[name]["accepted"] for name in accepted} == accepted
    assert all(per_file[name]["rejected"] >= 5 for name in accepted)
    assert {per_file[name]["status"] for name in ("twice.csv", "torn.jsonl.gz")} == {"rejected"}
    for part in ("lake", "warehouse.duckdb", "published", "gates", "dagster", "exports", ".dbt", "finalized"):
        assert (settings.home / part).exists(), f"{part} would not be scanned"
    assert found(settings.home, leave_out=("inbox/",)) == []
    assert planted_in(said) == []


def test_the_same_person_has_the_same_pseudonym_in_every_format_place_and_outcome(
    lived_in: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, accepted, _ = lived_in
    monkeypatch.delenv("USAGE_PII_KEY", raising=False)  # the home was made with its own key
    redactor = Redactor(settings.pii_key())
    emails = Counter()
    for kind, column in (("usage_events", "dims"), ("usage_events", "extra"), ("rejected_events", "record")):
        for part in (settings.lake / kind).rglob("*.parquet"):
            for row in pq.ParquetFile(part).read(columns=[column]).to_pylist():
                text = row[column].decode("utf-8", "replace") if isinstance(row[column], bytes) else row[column] or ""
                emails.update(re.findall(r"pii:email:[0-9a-f]{32}", text))
    assert set(emails) == {redactor.pseudonym("email", EMAIL)}
    assert emails.total() > 10 * len(accepted)
    assert redactor.pseudonym("phone", PHONE) == redactor.text("+1 (202) 555 0143")


def test_what_was_masked_is_counted_in_the_manifest_and_is_a_service_level(lived_in: Home) -> None:
    settings, _, _ = lived_in
    [manifest] = landing.manifests(settings)
    counted = manifest["pii_detections"]
    assert set(counted) == {"email", "ip", "phone", "card", "name", "ssn"}
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        [sli] = connection.execute(
            "select sli_date::varchar, value, target, met from operations.pipeline_slis where sli = 'pii_values_masked'"
        ).fetchall()
        [masked] = connection.execute("select pii_values_masked from operations.batches").fetchone()
    assert sli == ("2026-12-05", sum(counted.values()), 0, False)
    assert masked == sum(counted.values())


def test_the_count_is_that_of_the_values_in_the_dump(tmp_path: Path) -> None:
    """One record, counted by hand: an e-mail address and an IP in dims, a declared name, a card in a note."""
    dump = tmp_path / "dump.jsonl"
    record = {
        "event_id": "e", "producer": "p", "event_ts": "2026-09-28T10:00:00Z", "metric": "m", "quantity": 1, "unit": "u",
        "dims": {"who": EMAIL, "from": "198.51.100.23"}, "full_name": "Planted Testname", "note": "4111 1111 1111 1111",
    }  # fmt: skip
    dump.write_text(json.dumps(record))
    settings = Settings(tmp_path / "home", "1GB", 1)
    landing.land(settings, [dump])
    [manifest] = landing.manifests(settings)
    assert manifest["pii_detections"] == {"card": 1, "email": 1, "ip": 1, "name": 1}


def test_without_a_key_from_outside_a_random_one_is_made_once_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("USAGE_PII_KEY", raising=False)
    one, other = Settings(tmp_path / "one", "1GB", 1), Settings(tmp_path / "other", "1GB", 1)
    key = one.pii_key()
    assert len(key) == 64 and key == one.pii_key() != other.pii_key()
    kept = one.home / ".pii_key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in one.home.rglob("*") if path.is_file()] == [".pii_key"]
    kept.write_text("\n")
    with pytest.raises(UsageWarehouseError, match="is empty"):
        one.pii_key()
    monkeypatch.setenv("USAGE_PII_KEY", "from outside")
    assert one.pii_key() == b"from outside"


def test_dagsters_steps_make_private_files_too(lived_in: Home) -> None:
    """Dagster's own files follow the umask under which `make dev` starts it."""
    settings, _, _ = lived_in
    own = ("dagster", ".dbt/target/manifest.json", ".dbt/target", ".dbt/logs", ".dbt")
    assert [entry for entry in too_open(settings.home) if not entry.startswith((*own, ". "))] == []

"""The committed samples are what the generator writes, byte for byte, and every dump holds the expected records."""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict

import pyarrow.parquet as pq
import pytest
import zstandard


@pytest.fixture(scope="session")
def expected(made) -> dict:
    return json.loads(made["expected.json"])


def raw(path: str, data: bytes) -> bytes:
    """A dump's bytes, decompressed."""
    if path.endswith(".gz"):
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().stream_reader(data).read() if path.endswith(".zst") else data


def records(path: str, data: bytes) -> int:
    """Records of a dump, counted with nothing but the standard library (and Parquet's footer)."""
    if path.endswith(".parquet"):
        return pq.read_metadata(io.BytesIO(data)).num_rows
    lines = [line for line in raw(path, data).split(b"\n") if line.strip()]
    return len(lines) - (".csv" in path)


def identities(path: str, data: bytes) -> list[tuple]:
    """(producer, event_id, quantity) of every record that can be read without trouble."""
    if path.endswith(".parquet"):
        rows = pq.read_table(io.BytesIO(data), columns=["producer", "event_id", "quantity"]).to_pylist()
    elif ".csv" in path:
        rows = csv.DictReader(io.StringIO(raw(path, data).decode()))
    else:
        rows = [json.loads(line) for line in raw(path, data).split(b"\n") if line.startswith(b'{"') and is_json(line)]
    return [
        (row.get("producer") or row.get("source"), row.get("event_id"), str(row.get("quantity", row.get("value"))))
        for row in rows
    ]


def is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def dumps(made: dict[str, bytes], batch: dict) -> dict[str, bytes]:
    """The readable dumps of a batch, in landing order."""
    folder = f"arrived={batch['arrived']}/"
    torn = {folder + path for path in batch["rejected_files"]}
    return {p: made[p] for p in sorted(made) if p.startswith(folder + "events/") and p not in torn}


def test_another_process_in_another_folder_writes_the_same_bytes(made, committed, tmp_path):
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    command = [sys.executable, str(committed / "generate.py"), "--out", str(tmp_path / "samples")]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    written = {
        p.relative_to(tmp_path / "samples").as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()
    }
    assert written.keys() == made.keys()
    assert [path for path in made if made[path] != written[path]] == []


def test_committed_files_are_what_the_generator_writes(made, committed):
    folders = [*committed.glob("arrived=*")]
    there = {p.relative_to(committed).as_posix() for folder in folders for p in folder.rglob("*") if p.is_file()}
    assert there == {path for path in made if path.startswith("arrived=")}
    assert [path for path in made if (committed / path).read_bytes() != made[path]] == []


def test_samples_stay_small(made):
    assert sum(map(len, made.values())) < 15_000_000


def test_every_dump_holds_the_expected_records(made, expected):
    assert 250_000 <= sum(batch["records"] for batch in expected["batches"]) <= 350_000
    for batch in expected["batches"]:
        assert sum(records(path, data) for path, data in dumps(made, batch).items()) == batch["records"]


def test_duplicates_are_repeated_identities(made, expected):
    """Counted from the files: an identity seen before is a duplicate, with another quantity a conflicting one."""
    first = {}
    for batch in expected["batches"]:
        counts = Counter()
        for path, data in dumps(made, batch).items():
            for producer, event_id, quantity in identities(path, data):
                if not event_id or not producer or "bad" in event_id or "xxx" in event_id:
                    continue
                earlier = first.setdefault((producer, event_id), (quantity, 0))
                counts["duplicates"] += earlier[1]
                counts["conflicting"] += earlier[1] and earlier[0] != quantity
                first[producer, event_id] = (earlier[0], 1)
        assert counts["duplicates"] == batch["duplicates"]
        assert counts["conflicting"] == batch["conflicting_duplicates"]


def test_at_least_four_producers_in_both_schemas_and_all_formats(made):
    forms = defaultdict(set)
    for path in made:
        if "/events/" in path:
            forms[path.split("/")[2]].add(path.split("/")[-1].split(".", 1)[1])
    assert len(forms) == 5
    assert set().union(*forms.values()) == {"jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "csv.zst", "parquet"}


def test_the_rejected_file_is_unreadable(made, expected):
    torn = [(batch["arrived"], path) for batch in expected["batches"] for path in batch["rejected_files"]]
    assert len(torn) == 1
    arrived, path = torn[0]
    with pytest.raises(EOFError):
        gzip.decompress(made[f"arrived={arrived}/{path}"])


def test_personal_data_is_planted_and_fictional(made, expected):
    text = b"\n".join(raw(path, data) for path, data in made.items() if "/events/" in path and is_readable(path, data))
    told = [value for value in expected["pii"]["values"] if value.encode() not in text]
    assert [value for value in told if not value.startswith("+1-202-555-")] == []  # some phones stand in Parquet only
    addresses = set(re.findall(rb"[\w.]+@[\w.]+\w", text))
    assert addresses
    assert all(address.endswith(b"@example.com") for address in addresses)


def is_readable(path: str, data: bytes) -> bool:
    if path.endswith(".parquet"):
        return False
    try:
        raw(path, data)
    except EOFError:
        return False
    return True


def test_readme_states_every_plant_and_batch(made, expected):
    text = made["README.md"].decode()
    for plant in expected["plants"]:
        assert f"| {plant['name']} | {plant['where']} | {plant['rule']} | {plant['figure']} |" in text
    for batch in expected["batches"]:
        assert f"| {batch['batch_id']} | arrived={batch['arrived']} | {batch['as_of']} | {batch['records']:,} |" in text

"""Each bad file alone beside good ones, and all of them in one landing: nothing is lost, and no good event is missing."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from orchestration import landing
from orchestration.settings import Settings, parse_instant
from tests.faults.bad_input import corpus

LANDED_AT = parse_instant("2026-10-01T02:00:00Z")
GOOD = {"0-good.jsonl": corpus.jsonl(1000), "z-good.csv": corpus.csv_text(2000)}


def rounds() -> list[dict[str, corpus.Case]]:
    """The cases by file name, in as few landings as there are cases of the same content (which would land once)."""
    times: Counter[str] = Counter()
    landings: dict[int, dict[str, corpus.Case]] = defaultdict(dict)
    for place, case in enumerate(corpus.CASES):
        digest = hashlib.sha256(case.make()).hexdigest()
        landings[times[digest]][f"case-{place:03d}/{case.file_name}"] = case
        times[digest] += 1
    return list(landings.values())


def write_cases(folder: Path, cases: dict[str, corpus.Case]) -> None:
    """Every case in a folder of its own, good files before and behind them."""
    for name, case in cases.items():
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(case.make())
    for name, content in GOOD.items():
        (folder / name).write_bytes(content)


def rows_of(settings: Settings, kind: str) -> list[dict]:
    return [
        row
        for part in sorted((settings.lake / kind).rglob("*.parquet"))
        for row in pq.ParquetFile(part).read(columns=["file_order", "row_number", "event_id"]).to_pylist()
    ]


def outcome_of(case: corpus.Case, file: landing.FileResult) -> str | None:
    """What is wrong with what came of a case; null when nothing is."""
    found = (file.status, file.accepted, file.rejected, file.reason)
    if case.reason is None:
        fine = found == ("landed", case.accepted, case.rejected, None)
    else:
        fine = found[:3] == ("rejected", 0, 0) and case.reason in (file.reason or "")
    return None if fine else f"{case.name}: {found}"


def test_every_bad_file_comes_to_what_it_must_and_good_ones_land(settings, tmp_path):
    for number, cases in enumerate(rounds()):
        home, folder = replace(settings, home=tmp_path / f"home-{number}"), tmp_path / f"in-{number}"
        write_cases(folder, cases)
        result = landing.land(home, [folder], LANDED_AT)
        files = {file.file_name: file for file in result.files}
        assert result.postponed == result.ignored == result.already_landed == []
        assert [wrong for name, case in cases.items() if (wrong := outcome_of(case, files[name]))] == []
        assert [(files[name].status, files[name].accepted) for name in GOOD] == [("landed", corpus.EVENTS)] * 2
        accepted, rejected = rows_of(home, "usage_events"), rows_of(home, "rejected_events")
        assert (len(accepted), len(rejected)) == (result.accepted, result.rejected)
        good = {f"evt-{n:04d}" for start in (1000, 2000) for n in range(start, start + corpus.EVENTS)}
        assert good <= {row["event_id"] for row in accepted}
        again = landing.land(home, [folder], LANDED_AT)
        assert (again.batch_id, again.files) == (None, [])

"""Spoils good dumps at random and lands them: bytes flipped, cut out and put in, in every format.

Whatever comes of a spoilt file: no exception, records = accepted + rejected, the good files beside it land whole, and
a second landing is a no-op.
"""

import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from orchestration import landing
from orchestration.settings import Settings, parse_instant
from tests.faults.bad_input import corpus

LANDED_AT = parse_instant("2026-10-01T02:00:00Z")
FILES_PER_LANDING = 60
GOOD_FIRST = 5000

SHAPES: dict[str, Callable[[], bytes]] = {
    "jsonl": corpus.jsonl,
    "csv": corpus.csv_text,
    "parquet": corpus.parquet,
    "jsonl.gz": lambda: corpus.gz(corpus.jsonl()),
    "csv.gz": lambda: corpus.gz(corpus.csv_text()),
    "jsonl.zst": lambda: corpus.zst(corpus.jsonl()),
    "csv.zst": lambda: corpus.zst(corpus.csv_text()),
}


def flip(chance: random.Random, content: bytes) -> bytes:
    """A few bits changed."""
    spoilt = bytearray(content)
    for _ in range(chance.choice((1, 1, 3, 20))):
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
    return bytes(spoilt)


def cut(chance: random.Random, content: bytes) -> bytes:
    """The end missing."""
    return content[: chance.randrange(len(content))]


def remove(chance: random.Random, content: bytes) -> bytes:
    """A stretch missing."""
    start = chance.randrange(len(content))
    return content[:start] + content[start + chance.randint(1, 40) :]


def insert(chance: random.Random, content: bytes) -> bytes:
    """Some bytes too many: random ones, or such as mean something."""
    start = chance.randrange(len(content))
    some = chance.choice(
        (chance.randbytes(8), b"\0", b'"', b"\n", b"{", b"[" * 200, b"\\u0000", b"\xff\xfe", b",", b"NaN")
    )
    return content[:start] + some + content[start:]


def double(chance: random.Random, content: bytes) -> bytes:
    """A stretch twice."""
    start = chance.randrange(len(content))
    return content[:start] + content[start : start + 200] + content[start:]


SPOILERS = (flip, cut, remove, insert, double)


def land_spoilt(folder: Path, seed: int) -> Counter[str]:
    """One landing of spoilt files between good ones; what came of them. Raises AssertionError, naming the seed."""
    chance = random.Random(seed)
    inbox = folder / "in"
    inbox.mkdir(parents=True)
    shapes = {name: make() for name, make in SHAPES.items()}
    for number in range(FILES_PER_LANDING):
        name = chance.choice(sorted(shapes))
        (inbox / f"bad-{number:03d}.{name}").write_bytes(chance.choice(SPOILERS)(chance, shapes[name]))
    for place, (name, content) in enumerate((("a.jsonl", corpus.jsonl), ("z.csv", corpus.csv_text))):
        (inbox / name).write_bytes(content(GOOD_FIRST + 100 * place))
    settings = Settings(folder / "home", "1GB", 2)
    result = landing.land(settings, [inbox], LANDED_AT)
    check(settings, result, inbox, f"seed {seed}")
    return Counter(records=result.records, accepted=result.accepted, rejected=result.rejected, landings=1) + Counter(
        f"{file.format} {file.status}" for file in result.files
    )


def check(settings: Settings, result: landing.LandingResult, inbox: Path, what: str) -> None:
    """The invariants of a landing."""
    assert result.postponed == [], what
    seen = {file.file_name for file in (*result.files, *result.already_landed)}
    assert seen == {path.name for path in inbox.iterdir()}, what
    for file in result.files:
        assert file.records == file.accepted + file.rejected, (what, file)
        assert (file.status == "rejected") == (file.reason is not None), (what, file)
    accepted, rejected = rows(settings, "usage_events"), rows(settings, "rejected_events")
    assert (len(accepted), len(rejected)) == (result.accepted, result.rejected), what
    whole = {file.file_name: file.accepted for file in result.files if file.file_name in ("a.jsonl", "z.csv")}
    assert whole == {"a.jsonl": corpus.EVENTS, "z.csv": corpus.EVENTS}, what
    again = landing.land(settings, [inbox], LANDED_AT)
    assert (again.batch_id, again.files) == (None, []), what


def rows(settings: Settings, kind: str) -> list[dict]:
    """The rows of the lake, as they can be read back."""
    parts = sorted((settings.lake / kind).rglob("*.parquet"))
    return [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]


def run(seconds: float, seed: int) -> dict[str, int]:
    """Lands spoilt files for about so long, at least once; the counts of what came of them."""
    counts: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    while not counts or time.monotonic() < deadline:
        with tempfile.TemporaryDirectory() as folder:
            counts += land_spoilt(Path(folder), seed)
        seed += 1
    return dict(counts)


@dataclass
class Tried:
    """What spoilt dumps were tried. A loss is a broken invariant of a landing."""

    runs: int = 0
    files: int = 0
    records: int = 0
    rejects: int = 0
    rejected_files: int = 0
    losses: list[str] = field(default_factory=list)


def soak(seconds: float, seed: int, root: Path) -> Tried:
    """Lands spoilt files for so long; what breaks is told, and the next seed is tried."""
    tried, deadline = Tried(), time.monotonic() + seconds
    while not tried.runs or time.monotonic() < deadline:
        tried.runs += 1
        try:
            counts = land_spoilt(root / str(seed), seed)
        except Exception as error:
            tried.losses.append(f"seed {seed}: {type(error).__name__}: {error}")
        else:
            tried.files += sum(count for name, count in counts.items() if name.endswith((" landed", " rejected")))
            tried.rejected_files += sum(count for name, count in counts.items() if name.endswith(" rejected"))
            tried.records += counts["records"]
            tried.rejects += counts["rejected"]
        shutil.rmtree(root / str(seed), ignore_errors=True)
        seed += 1
    return tried

"""Landing streams: its memory does not grow with the dump."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

from tests.unit.landing.conftest import event

LAND = """
import re, resource, sys
from pathlib import Path
from orchestration import landing
from orchestration.settings import Settings, parse_instant
result = landing.land(Settings(Path(sys.argv[1]), "1GB", 2), [Path(sys.argv[2])], parse_instant("2026-10-01T02:00:00Z"))
# the peak of this program (getrusage would also count the pages of the process that forked it), and of its parser
own = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(result.records, max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""


def write_dump(path: Path, megabytes: int) -> int:
    """A compressed dump of about so much text; the number of its events."""
    block = "".join(
        json.dumps(event(event_id=f"evt-{n:030d}", dims={"endpoint": "/v1/items", "latency_ms": n / 100, "n": n}))
        + "\n"
        for n in range(4000)
    ).encode()
    repeats = megabytes * 1_000_000 // len(block)
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(repeats):
            file.write(block)
    return 4000 * repeats


def peak_of_landing(folder: Path, megabytes: int) -> float:
    folder.mkdir()
    events = write_dump(folder / "dump.jsonl.gz", megabytes)
    command = [sys.executable, "-c", LAND, str(folder / "home"), str(folder / "dump.jsonl.gz")]
    records, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(records) == events
    return int(peak) / 1024


def test_memory_stays_flat(tmp_path):
    small, large = peak_of_landing(tmp_path / "small", 40), peak_of_landing(tmp_path / "large", 160)
    assert large < 600, f"{large:.0f} MB"
    assert large - small < 120, f"{small:.0f} MB for 40 MB, {large:.0f} MB for 160 MB"

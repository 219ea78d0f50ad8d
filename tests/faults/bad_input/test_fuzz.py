"""The fuzz at a small size with fixed seeds; `USAGE_FUZZ_SECONDS` and `USAGE_FUZZ_SEED` make it any other."""

import os

from tests.faults.bad_input import fuzz


def test_spoilt_dumps_never_stop_a_landing(monkeypatch):
    monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
    counts = fuzz.run(float(os.environ.get("USAGE_FUZZ_SECONDS", "5")), int(os.environ.get("USAGE_FUZZ_SEED", "1")))
    assert counts["records"] == counts["accepted"] + counts["rejected"]
    assert counts["parquet rejected"] > 0
    assert counts["rejected"] > 0

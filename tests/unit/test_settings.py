"""The limits from the environment: sane without it, refused in one line where it makes no sense."""

import pytest

from orchestration.errors import UsageWarehouseError
from orchestration.settings import FileLimits, load_settings, parse_size, shown_size


def test_limits_of_files_come_from_the_environment(tmp_path, monkeypatch):
    for name in ("MEMORY", "SECONDS", "EXPANDED"):
        monkeypatch.delenv(f"USAGE_FILE_{name}", raising=False)
    assert load_settings(tmp_path).file_limits == FileLimits(4_000_000_000, 300, 256_000_000_000)
    monkeypatch.setenv("USAGE_FILE_MEMORY", "512MiB")
    monkeypatch.setenv("USAGE_FILE_SECONDS", "1.5")
    monkeypatch.setenv("USAGE_FILE_EXPANDED", "2 tb")
    assert load_settings(tmp_path).file_limits == FileLimits(512 << 20, 1.5, 2 * 10**12)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MEMORY", "much"),
        ("MEMORY", "0GB"),
        ("MEMORY", "-1GB"),
        ("SECONDS", "0"),
        ("SECONDS", "nan"),
        ("EXPANDED", "5"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(tmp_path, monkeypatch, name, text):
    monkeypatch.setenv(f"USAGE_FILE_{name}", text)
    with pytest.raises(UsageWarehouseError, match=f"USAGE_FILE_{name}"):
        load_settings(tmp_path)


@pytest.mark.parametrize(("size", "shown"), [("4GB", "4GB"), ("1500MB", "1.5GB"), ("1B", "1B"), ("600MB", "600MB")])
def test_sizes_are_shown_as_people_write_them(size, shown):
    assert shown_size(parse_size(size)) == shown

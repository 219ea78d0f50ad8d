"""The price tables of a shadow rating: which rows of a folder go before which in force, and what is refused, as a landing would."""

from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from orchestration import landing
from orchestration.errors import UsageWarehouseError
from orchestration.operations.shadow_prices import merge_prices
from orchestration.settings import Settings
from tests.end_to_end.house import fingerprints

PRICES = "price_id,plan_id,sku,region,currency_code,model,free_units,package_size,valid_from,valid_to\n"
TIERS = "price_id,tier_number,up_to,unit_price,flat_fee,rate_percent\n"

IN_FORCE = {
    "prices.csv": PRICES
    + "early,basic,api,*,USD,per_unit,,,,2026-10-01\n"
    + "late,basic,api,*,USD,per_unit,,,2026-10-01,\n"
    + "eu,basic,api,eu,USD,per_unit,,,,\n"
    + "euro,basic,api,*,EUR,per_unit,,,,\n"
    + "pro,pro,api,*,USD,graduated,10,,,\n",
    "price_tiers.csv": TIERS
    + "early,1,,0.1,,\nlate,1,,0.2,,\neu,1,,0.3,,\neuro,1,,0.4,,\npro,1,100,0.5,2,\npro,2,,0.05,,\n",
}


@pytest.fixture
def priced(home: Settings, tmp_path: Path) -> Settings:
    """A home in which the prices above have landed, over a first version that is not in force any more."""
    first = folder(tmp_path / "first", {"prices.csv": PRICES + "gone,basic,api,*,USD,flat,,,,\n"})
    landing.land(home, [first])
    landing.land(home, [folder(tmp_path / "in-force", IN_FORCE)])
    return home


def folder(place: Path, files: dict[str, str]) -> Path:
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(content)
    return place


def merged(home: Settings, tmp_path: Path, files: dict[str, str]) -> Path:
    return merge_prices(home, folder(tmp_path / "given", files), tmp_path / "merged").folder


def prices(place: Path) -> dict[str, dict]:
    return {row["price_id"]: row for row in pq.read_table(place / "prices.parquet").to_pylist()}


@pytest.mark.parametrize(
    ("given", "stay"),
    [
        (
            "pro,pro,transfer,*,USD,per_unit,,,,",
            {"early", "late", "eu", "euro"},
        ),  # the same price_id, for another thing
        ("new,basic,api,*,USD,per_unit,,,,", {"eu", "euro", "pro"}),  # overlaps both
        ("new,basic,api,*,USD,per_unit,,,2026-10-01,", {"early", "eu", "euro", "pro"}),  # begins where one ends
        (
            "new,basic,api,*,USD,per_unit,,,2026-09-30,2026-10-01",
            {"late", "eu", "euro", "pro"},
        ),  # ends where one begins
        ("new,basic,api,*,USD,per_unit,,,2026-09-30,2026-10-02", {"eu", "euro", "pro"}),
        ("new,basic,api,,USD,per_unit,,,2027-01-01,", {"early", "eu", "euro", "pro"}),  # no region is any region
        ("new,basic,api,eu,USD,per_unit,,,,", {"early", "late", "euro", "pro"}),
        ("new,pro,api,*,EUR,per_unit,,,,", {"early", "late", "eu", "euro", "pro"}),  # another currency beside
    ],
)
def test_a_price_goes_before_those_of_its_id_and_those_it_overlaps(
    priced: Settings, tmp_path: Path, given: str, stay: set[str]
) -> None:
    place = merged(priced, tmp_path, {"prices.csv": PRICES + given + "\n"})
    assert set(prices(place)) == stay | {given.split(",")[0]}
    assert [file.name for file in place.iterdir()] == ["prices.parquet"]


def test_what_stays_and_what_comes_keep_every_column(priced: Settings, tmp_path: Path) -> None:
    place = merged(priced, tmp_path, {"prices.csv": PRICES + "new,basic,api,*,USD,package,1.5,1000,2026-10-01,\n"})
    landed = landing.land(Settings(tmp_path / "other", "1GB", 1), [place])
    assert [(entry.status, entry.rows) for entry in landed.references] == [("landed", 5)]
    in_force = pq.ParquetFile(priced.lake / "reference/prices/version=2/part-00000.parquet").read().to_pylist()
    found = prices(place)
    for row in in_force:
        if row["price_id"] != "late":
            assert found[row["price_id"]] == {name: value for name, value in row.items() if name != "batch_id"}
    new = {name: str(value) for name, value in found["new"].items() if value is not None}
    assert new == {
        "price_id": "new",
        "plan_id": "basic",
        "sku": "api",
        "region": "*",
        "currency_code": "USD",
        "model": "package",
        "free_units": "1.500000000000",
        "package_size": "1000.000000000000",
        "valid_from": "2026-10-01",
    }


def test_tiers_of_a_price_are_replaced_as_a_whole(priced: Settings, tmp_path: Path) -> None:
    place = merged(priced, tmp_path, {"price_tiers.csv": TIERS + "pro,1,,0.07,,\n"})
    rows = pq.read_table(place / "price_tiers.parquet").to_pylist()
    found = sorted((row["price_id"], row["tier_number"], str(row["unit_price"].normalize())) for row in rows)
    assert found == [("early", 1, "0.1"), ("eu", 1, "0.3"), ("euro", 1, "0.4"), ("late", 1, "0.2"), ("pro", 1, "0.07")]
    assert [file.name for file in place.iterdir()] == ["price_tiers.parquet"]


def test_parquet_files_and_both_tables_at_once(priced: Settings, tmp_path: Path) -> None:
    given = folder(tmp_path / "csv", {"prices.csv": PRICES + "new,basic,api,*,USD,per_unit,,,,\n"})
    pq.write_table(pacsv.read_csv(given / "prices.csv"), given / "prices.parquet")
    (given / "prices.csv").unlink()
    (given / "price_tiers.csv").write_text(TIERS + "new,1,,0.9,,\n")
    place = merge_prices(priced, given, tmp_path / "merged").folder
    assert set(prices(place)) == {"new", "eu", "euro", "pro"}
    assert sorted(file.name for file in place.iterdir()) == ["price_tiers.parquet", "prices.parquet"]


def test_a_home_without_prices_takes_those_that_are_given(home: Settings, tmp_path: Path) -> None:
    assert set(prices(merged(home, tmp_path, {"prices.csv": IN_FORCE["prices.csv"]}))) == {
        "early",
        "late",
        "eu",
        "euro",
        "pro",
    }


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "holds no price tables"),
        ({".hidden": ""}, "holds no price tables"),
        ({"prices.csv": PRICES, "accounts.csv": "account_id\n"}, "it holds accounts.csv"),
        ({"prices.csv": PRICES, "notes.txt": "dearer"}, "it holds notes.txt"),
        ({"prices.csv": PRICES, "day.jsonl": "{}"}, "it holds day.jsonl"),
        ({"prices.csv": PRICES, "old/price_tiers.csv": TIERS}, "it holds old/price_tiers.csv"),
        ({"prices.csv": PRICES, "prices.parquet": ""}, "holds prices twice"),
    ],
)
def test_a_folder_with_anything_else_or_nothing_is_refused(
    priced: Settings, tmp_path: Path, files: dict[str, str], says: str
) -> None:
    before = fingerprints(priced.home)
    with pytest.raises(UsageWarehouseError, match=says):
        merged(priced, tmp_path, files)
    assert fingerprints(priced.home) == before


BROKEN = {
    "prices.csv": PRICES
    + "p1,basic,api,*,XYZ,per_unit,,,,\n"
    + "p2,basic,api,*,USD,dear,,,2026-10-02,2026-10-01\n"
    + "p3,basic,api,*,USD,package,,,,2026-11-01\n"
    + "p3,basic,api,*,USD,per_unit,,,2026-10-01,\n",
    "price_tiers.csv": TIERS + "p1,1,,0.1,,\np1,3,5,a lot,,\n",
}


def test_every_fault_of_every_file_is_named_as_a_landing_names_it(priced: Settings, tmp_path: Path) -> None:
    landed = landing.land(Settings(tmp_path / "other", "1GB", 1), [folder(tmp_path / "landed", BROKEN)])
    faults = [fault for entry in landed.references for fault in entry.faults]
    assert len(faults) >= 8
    with pytest.raises(UsageWarehouseError) as refused:
        merged(priced, tmp_path, BROKEN)
    assert all(fault in str(refused.value) for fault in faults)
    assert not (tmp_path / "merged").exists()


def test_prices_without_tiers_and_tiers_without_a_price_are_pointed_out(priced: Settings, tmp_path: Path) -> None:
    given = folder(
        tmp_path / "given",
        {
            "prices.csv": PRICES + "bare,basic,storage,*,USD,per_unit,,,,\npro,pro,api,*,USD,per_unit,,,,\n",
            "price_tiers.csv": TIERS + "stray,1,,0.1,,\n",
        },
    )
    warnings = merge_prices(priced, given, tmp_path / "merged").warnings
    assert warnings == ("price bare has no tiers: nothing is rated by it", "the tiers of stray belong to no price")

"""Shadow rating of an open period and of a closed one with late usage: equal to the oracle on both sides, and nothing else moves."""

import csv
import hashlib
import io
import json
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from click.testing import CliRunner, Result

from orchestration import landing, operations, warehouse
from orchestration.cli import main
from orchestration.errors import UsageWarehouseError
from orchestration.settings import Settings
from tests.end_to_end.histories import Options, csv_bytes, make_history
from tests.end_to_end.house import copied, fingerprints, rows
from tests.oracle import Close, Landing, compute

CLOSED, OPEN = "2026-09", "2026-10"
OWN = (".dbt", ".lock", "shadow", "warehouse.duckdb")
Amounts = dict[tuple[str, str, str], Decimal]


class Place(NamedTuple):
    """A home whose first period was closed before half of its usage landed, and what it was made from."""

    settings: Settings
    landings: list[Landing]
    prices: list[dict]
    tiers: list[dict]
    now: datetime


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("shadow")
    first, second = make_history(21, Options(events=150, landings=2, closable=True)).write(folder / "dumps")
    settings, now = Settings(folder / "home", "1GB", 2), second.landed_at + timedelta(days=1)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
        landing.land(settings, [Path(first.paths)], first.landed_at)
        operations.month_end(settings, CLOSED, first.landed_at + timedelta(hours=1))
        landing.land(settings, [Path(second.paths)], second.landed_at)
        warehouse.build(settings, now, test=False)
    prices, tiers = (read_table(Path(first.paths), table) for table in ("prices", "price_tiers"))
    return Place(settings, [first, second], prices, tiers, now)


@pytest.fixture
def place(original: Place, tmp_path: Path) -> Place:
    return original._replace(settings=copied(original.settings, tmp_path / "home"))


def read_table(folder: Path, table: str) -> list[dict]:
    text = (folder / "reference" / f"{table}.csv").read_text()
    return [{name: cell or None for name, cell in row.items()} for row in csv.DictReader(io.StringIO(text))]


def write_tables(folder: Path, **tables: list[dict]) -> Path:
    folder.mkdir(parents=True)
    for table, content in tables.items():
        (folder / f"{table}.csv").write_bytes(csv_bytes(content))
    return folder


def shadow_rate(place: Place, prices: Path, period: str, *more: str) -> Result:
    arguments = ["--home", str(place.settings.home), "--prices", str(prices), "--period", period]
    return CliRunner().invoke(main, ["shadow-rate", *arguments, "--as-of", place.now.isoformat(), *more])


def amounts(lines: list, period: str) -> Amounts:
    """The oracle's lines for the usage of a period, summed."""
    sums: Amounts = defaultdict(Decimal)
    for line in lines:
        if line.origin_period == period and line.price_id is not None:
            sums[line.account_id, line.sku, line.currency_code] += line.amount
    return dict(sums)


def found(settings: Settings, period: str) -> dict[tuple[str, str, str], tuple[Decimal, Decimal, Decimal]]:
    """billing.shadow_rating by its grain."""
    query = (
        "select account_id, sku, currency_code, billed_amount, shadow_amount, difference_amount "
        f"from billing.shadow_rating where billing_period = '{period}'"
    )
    return {row[:3]: row[3:] for row in rows(settings.warehouse, query)}


def expected(billed: Amounts, shadow: Amounts) -> dict[tuple[str, str, str], tuple[Decimal, Decimal, Decimal]]:
    zero = Decimal(0)
    pairs = {key: (billed.get(key, zero), shadow.get(key, zero)) for key in billed.keys() | shadow.keys()}
    return {key: (before, after, after - before) for key, (before, after) in pairs.items()}


def content(settings: Settings) -> dict[str, str]:
    """A hash of the rows of every relation of the warehouse but those of the shadow rating, and of the definition of every view."""
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        relations = connection.execute(
            "select schema_name || '.' || table_name, '' from duckdb_tables() union all "
            "select schema_name || '.' || view_name, sql from duckdb_views() where not internal order by 1"
        ).fetchall()
        return {
            name: hashlib.sha256(
                repr((sql, connection.execute(f"from {name} order by all").fetchall())).encode()
            ).hexdigest()
            for name, sql in relations
            if name not in ("billing.shadow_rating", "staging.stg_shadow__ratings")
        }


def files(settings: Settings) -> dict[str, str]:
    """Every file of the home but dbt's logs, the lock, the database (whose content is compared) and the results."""
    kept = fingerprints(settings.home)
    return {name: sha for name, sha in kept.items() if name.split("/")[0] not in OWN}


def dearer(place: Place) -> tuple[list[dict], list[dict], list[dict], list[dict]]:
    """Other prices: every second price has one tier, at another price or percentage, and one new price takes the place of all for its thing.

    The rows to give (prices, tiers), and all rows as they then are (prices, tiers), which the oracle rates by.
    """
    thing = ("plan_id", "sku", "region", "currency_code")
    new = dict.fromkeys(place.prices[0]) | {name: place.prices[1][name] for name in thing}
    new |= {"price_id": "price-new", "model": "per_unit"}
    stay = [price for price in place.prices if any(price[name] != new[name] for name in thing)]
    changed = {price["price_id"] for price in stay[::2] if price["model"] != "flat"}
    tiers = [
        tier | {"up_to": None} | {name: "3.21" for name in ("unit_price", "rate_percent") if tier[name]}
        for tier in place.tiers
        if tier["price_id"] in changed and tier["tier_number"] == "1"
    ]
    tiers.append(
        dict.fromkeys(tiers[0]) | {"price_id": "price-new", "tier_number": "1", "unit_price": "0.000000000777"}
    )
    return [new], tiers, [*stay, new], [row for row in place.tiers if row["price_id"] not in changed] + tiers


def test_unchanged_prices_change_nothing_in_an_open_period_and_in_a_closed_one(place: Place, tmp_path: Path) -> None:
    prices = write_tables(tmp_path / "prices", prices=place.prices, price_tiers=place.tiers)
    result = compute(place.landings, [Close(CLOSED, after_landing=1)])
    assert any(line.origin_period == CLOSED for line in result.adjustments)  # late usage, billed later
    truth = compute(place.landings).all_lines  # late usage worth nothing has a line here, and no adjustment
    for period in (CLOSED, OPEN):
        done = shadow_rate(place, prices, period)
        assert done.exit_code == 0, done.stderr
        assert "0 account(s) change" in done.stdout
        due = expected(amounts(result.all_lines, period), amounts(truth, period))
        assert found(place.settings, period) == due
        assert any(billed for billed, _, _ in due.values()) and not any(change for _, _, change in due.values())


def test_other_prices_give_the_oracles_figures_and_touch_nothing_else(place: Place, tmp_path: Path) -> None:
    given_prices, given_tiers, all_prices, all_tiers = dearer(place)
    prices = write_tables(tmp_path / "prices", prices=given_prices, price_tiers=given_tiers)
    merged = write_tables(tmp_path / "all", prices=all_prices, price_tiers=all_tiers)
    billed = compute(place.landings, [Close(CLOSED, after_landing=1)]).all_lines
    shadow = compute([*place.landings, Landing(merged, place.now)]).all_lines
    before = content(place.settings), files(place.settings)
    for period in (CLOSED, OPEN):
        done = shadow_rate(place, prices, period, "--json")
        assert done.exit_code == 0, done.stderr
        due = expected(amounts(billed, period), amounts(shadow, period))
        assert found(place.settings, period) == due
        assert len([key for key, (_, _, difference) in due.items() if difference]) >= 2
        summary = json.loads(done.stdout)
        assert summary["accounts_changed"] == len({key[0] for key, amounts_ in due.items() if amounts_[2]})
        assert {row["currency_code"]: Decimal(row["difference_amount"]) for row in summary["totals"]} == {
            currency: sum(amounts_[2] for key, amounts_ in due.items() if key[2] == currency)
            for currency in {key[2] for key in due}
        }
        assert len(summary["rows"]) == len(due) and summary["warnings"] == []
    assert (content(place.settings), files(place.settings)) == before
    assert not list(place.settings.scratch.glob("shadow*"))

    warehouse.build(place.settings, place.now)  # any later build keeps what was found, and every data test holds
    assert found(place.settings, OPEN) == expected(amounts(billed, OPEN), amounts(shadow, OPEN))
    cheap = write_tables(tmp_path / "free", price_tiers=[{**tier, "unit_price": "0"} for tier in given_tiers[:1]])
    assert shadow_rate(place, cheap, OPEN).exit_code == 0  # the next run for a period takes the place of the last
    assert found(place.settings, OPEN) != expected(amounts(billed, OPEN), amounts(shadow, OPEN))
    assert found(place.settings, CLOSED) == expected(amounts(billed, CLOSED), amounts(shadow, CLOSED))


def test_usage_that_loses_its_price_is_worth_nothing_and_is_pointed_out(place: Place, tmp_path: Path) -> None:
    """The given price overlaps the one in force, which goes, and is valid only from a day after the period."""
    price = next(price for price in place.prices if used_alone(place, price))
    given = {**price, "price_id": "price-next-year", "valid_from": "2027-01-01"}
    tier = {**place.tiers[0], "price_id": "price-next-year", "tier_number": "1", "up_to": None, "unit_price": "1"}
    prices = write_tables(tmp_path / "prices", prices=[given], price_tiers=[tier])
    done = shadow_rate(place, prices, OPEN)
    assert done.exit_code == 0, done.stderr
    lost = {key: row for key, row in found(place.settings, OPEN).items() if row[1] == 0 and row[0]}
    assert price["sku"] in {sku for _, sku, _ in lost}
    for account_id, sku, _ in lost:
        assert f"usage of {account_id} for {sku} has no price by these tables" in " ".join(done.stdout.split())


def used_alone(place: Place, price: dict) -> bool:
    """Is the price the only one for its plan and SKU, and charged for usage in the open period?"""
    same = [other for other in place.prices if (other["plan_id"], other["sku"]) == (price["plan_id"], price["sku"])]
    query = f"select 1 from billing.invoice_lines where price_id = '{price['price_id']}' and billing_period = '{OPEN}' and quantity > 0 and amount > 0"
    return len(same) == 1 and price["model"] != "flat" and bool(rows(place.settings.warehouse, query))


def test_what_cannot_be_rated_changes_nothing_and_says_why(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USAGE_PII_KEY", "a key for tests")
    sound = write_tables(tmp_path / "sound", price_tiers=place.tiers)
    broken = write_tables(tmp_path / "broken", prices=[{**place.prices[0], "currency_code": "XYZ", "model": "dear"}])
    before = fingerprints(place.settings.home)
    for prices, period, exit_code, says in (
        (broken, OPEN, 1, ("XYZ", "dear", "prices.csv refused")),
        (sound, "2026-12", 1, ("2026-12 has no usage to rate",)),
        (sound, "2031-01", 1, ("2031-01 has no usage to rate",)),
        (tmp_path / "nowhere", OPEN, 2, ("does not exist",)),
    ):
        failed = shadow_rate(place, prices, period)
        assert failed.exit_code == exit_code and all(text in failed.stderr for text in says), failed.stderr
    after = fingerprints(place.settings.home)
    assert {name: sha for name, sha in after.items() if name != ".lock"} == before
    assert not list(place.settings.scratch.glob("shadow*"))

    landing.land(place.settings, [write_tables(tmp_path / "more", price_tiers=place.tiers[::-1])], place.now)
    behind = shadow_rate(place, sound, OPEN)
    assert behind.exit_code == 1 and "run `usage build` first" in behind.stderr


def test_a_failure_on_the_way_leaves_the_last_result_and_no_scratch(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.settings.shadow.mkdir()
    kept = place.settings.shadow / f"period={OPEN}.parquet"
    kept.write_bytes(b"the last result")
    seen = []

    def fail(settings: Settings, *_: object, **__: object) -> None:
        seen.append(settings.home)
        raise UsageWarehouseError("dbt broke")

    monkeypatch.setattr(warehouse, "build", fail)
    before = content(place.settings), files(place.settings)
    with pytest.raises(UsageWarehouseError, match="dbt broke"):
        prices = write_tables(tmp_path / "prices", price_tiers=place.tiers[:1])
        operations.shadow_rate(place.settings, prices, OPEN, place.now)
    assert len(seen) == 1 and place.settings.scratch in seen[0].parents and not seen[0].exists()
    assert (content(place.settings), files(place.settings)) == before
    assert kept.read_bytes() == b"the last result"
    assert not list(place.settings.scratch.glob("shadow*"))


def test_leftovers_of_a_killed_landing_are_left_to_the_next_landing(place: Place, tmp_path: Path) -> None:
    """The landing of the other prices cleans up in its own lake, never through a link in the real one."""
    last = len(landing.manifests(place.settings))
    leftover = place.settings.lake / "usage_events" / "landed_date=2026-12-08" / f"batch={last + 1}" / "part.parquet"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half a file")
    done = shadow_rate(place, write_tables(tmp_path / "prices", price_tiers=place.tiers), OPEN)
    assert done.exit_code == 0, done.stderr
    assert leftover.read_bytes() == b"half a file"

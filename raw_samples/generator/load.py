"""Writes load sets: any number of events in day files with matching reference tables, vectorised, chunk by chunk.

Exact shares of all records: 0.5 % are repeated some days later, 1 % arrive one to three days late, 2 % have no key.
`load.json` beside the files states the figures that must come out.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raw_samples.generator import company
from raw_samples.generator.references import COLUMNS, metric_row
from raw_samples.generator.write import as_json, table_text, write_files

START = dt.date(2026, 9, 1)
CHUNK = 1_000_000
DUPLICATES, LATE, WITHOUT_KEY = Decimal("0.005"), Decimal("0.01"), Decimal("0.02")
LONGEST_DELAY = 5
REGIONS = (*company.REGIONS, "sa-east-1", "af-south-1")
GRADES = ("basic", "standard", "plus", "premium")
# No zone west of UTC, so that the first UTC day lies wholly in the first period of every account.
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland")
CURRENCIES = ("USD", "EUR", "JPY")
PRODUCERS = ("load-meter-a", "load-meter-b", "load-meter-c")
KEY_COLUMNS = ("account_id", "api_key", "namespace")
UNITS = {  # the units in which a metric's events come
    "api_requests": ("request",),
    "documents_analyzed": ("page",),
    "api_egress": ("GB", "MB", "byte"),
    "function_invocations": ("invocation",),
    "function_duration": ("s", "ms", "hour"),
    "storage_volume": ("GB_hour", "MB_hour"),
    "storage_operations": ("operation", "thousand_operations"),
    "kube_cpu": ("core_hour", "core_s"),
    "kube_memory": ("GB_hour",),
    "instance_time": ("hour", "s"),
}
METRICS = tuple(UNITS)
SKU_OF = {metric: [f"{metric.replace('_', '-')}-{grade}" for grade in GRADES] for metric in METRICS}
KINDS = tuple((metric, sku, unit) for metric in METRICS for sku in SKU_OF[metric] for unit in UNITS[metric])


def account_ids(accounts: int) -> list[str]:
    return [f"load_{number:05d}" for number in range(accounts)]


def key_values(accounts: int) -> dict[str, list[str]]:
    """The three keys of each account."""
    names = account_ids(accounts)
    return {
        "account_id": names,
        "api_key": [f"key-{name}" for name in names],
        "namespace": [f"ns-{name}" for name in names],
    }


def price_list(plans: list[tuple[str, str]]) -> tuple[list[tuple], list[tuple]]:
    """(prices, price tiers): every SKU in every plan, per unit and graduated in turn."""
    prices, tiers = [], []
    for plan, currency in plans:
        for number, sku in enumerate(sku for metric in METRICS for sku in SKU_OF[metric]):
            price_id, graduated = f"{plan}:{sku}", number % 2 == 1
            model = "graduated" if graduated else "per_unit"
            prices.append((price_id, plan, sku, "*", currency, model, None, None, None, None))
            for tier, up_to in enumerate((100, 5000, None) if graduated else (None,), start=1):
                tiers.append((price_id, tier, up_to, Decimal(100 - 10 * tier + number).scaleb(-4), None, None))
    return prices, tiers


def references(accounts: int) -> dict[str, bytes]:
    """Reference tables that fit the events: every SKU has a price in every plan, every key an account."""
    names, keys, since = account_ids(accounts), key_values(accounts), "2026-01-01T00:00:00Z"
    plans = [(f"load-{currency.lower()}", currency) for currency in CURRENCIES]
    prices, tiers = price_list(plans)
    rows = {
        "metrics": [metric_row(company.ALL_METRICS[metric], SKU_OF[metric][0]) for metric in METRICS],
        "units": list(company.UNITS),
        "skus": [(sku, m, sku.replace("-", " "), m, "Compute", True) for m in METRICS for sku in SKU_OF[m]],
        "accounts": [
            (a, f"Load account {n}", "load", None, ZONES[n % 4], CURRENCIES[n % 3]) for n, a in enumerate(names)
        ],
        "account_plans": [(a, plans[n % 3][0], "2026-01-01", None) for n, a in enumerate(names)],
        "attribution_keys": [
            (kind, key, names[n], None, since, None) for kind in KEY_COLUMNS[1:] for n, key in enumerate(keys[kind])
        ],
        "prices": prices,
        "price_tiers": tiers,
    }
    return {f"reference/{name}.csv": table_text(tuple(COLUMNS[name].split()), body) for name, body in rows.items()}


def uuid_texts(rng: np.random.Generator, count: int) -> pa.Array:
    """Random 36-character ids, built as one buffer."""
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    nibbles = digits[rng.integers(0, 16, (count, 32), dtype=np.uint8)]
    text = np.full((count, 36), ord("-"), dtype=np.uint8)
    for source, target, width in ((0, 0, 8), (8, 9, 4), (12, 14, 4), (16, 19, 4), (20, 24, 12)):
        text[:, target : target + width] = nibbles[:, source : source + width]
    offsets = np.arange(0, 36 * (count + 1), 36, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))


def texts(codes: np.ndarray, values: tuple | list, missing: np.ndarray | None = None) -> pa.Array:
    """A text column from codes into a list of values."""
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32), mask=missing), pa.array(values)
    ).dictionary_decode()


def decimals(nano: np.ndarray) -> pa.Array:
    """Decimals with nine fractional digits from non-negative integers."""
    words = np.zeros((len(nano), 2), dtype=np.int64)
    words[:, 0] = nano
    return pa.Array.from_buffers(pa.decimal128(38, 9), len(nano), [None, pa.py_buffer(words)])


def chunk(
    rng: np.random.Generator, day: int, count: int, shares: tuple[int, int, int], accounts: int
) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """(events of a day, rows to repeat, rows that come late). The shares are counts: repeated, late, without a key."""
    repeated, late, bare = shares
    roles = rng.permutation(count)
    start = np.datetime64(START + dt.timedelta(days=day), "us").astype(np.int64)
    at = start + np.sort(rng.integers(0, company.DAY * 1000, count))
    ingested = at + rng.integers(1_000_000, 90_000_000, count)
    late_rows = roles[repeated : repeated + late]
    ingested[late_rows] += rng.integers(1, 4, late) * company.DAY * 1000
    weights = 1_000_000 // (np.arange(accounts) + 1) + 1
    edges = np.cumsum(weights)
    account = np.searchsorted(edges, rng.integers(0, edges[-1], count), side="right")
    kind, key_kind = rng.integers(0, len(KINDS), count), rng.integers(0, 10, count)
    key_kind = np.where(key_kind < 3, 0, np.where(key_kind < 8, 1, 2))
    key_kind[roles[repeated + late : repeated + late + bare]] = -1
    values = key_values(accounts)
    counted = np.array([metric == "api_requests" for metric, _, _ in KINDS])[kind]
    quantity = np.where(counted, 1_000_000_000, rng.integers(1, 50_000_000_000, count))
    table = pa.table(
        {
            "event_id": uuid_texts(rng, count),
            "producer": texts(rng.integers(0, len(PRODUCERS), count), PRODUCERS),
            "event_ts": pa.array(at.view("datetime64[us]"), pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
            "ingested_ts": pa.array(ingested.view("datetime64[us]"), pa.timestamp("us")).cast(
                pa.timestamp("us", "UTC")
            ),
            "metric": texts(kind, [metric for metric, _, _ in KINDS]),
            "quantity": decimals(quantity),
            "unit": texts(kind, [unit for _, _, unit in KINDS]),
            "sku": texts(kind, [sku for _, sku, _ in KINDS]),
            **{name: texts(account, values[name], key_kind != number) for number, name in enumerate(KEY_COLUMNS)},
            "region": texts(rng.integers(0, len(REGIONS), count), REGIONS),
        }
    )
    return table, roles[:repeated], late_rows


def split(total: int, parts: int) -> list[int]:
    """A total in nearly equal integer parts."""
    return [total * (n + 1) // parts - total * n // parts for n in range(parts)]


def write_part(folder: Path, day: int, number: int, form: str, table: pa.Table) -> None:
    """One file of the day's collection."""
    date = START + dt.timedelta(days=day)
    target = folder / "events" / "load-meter" / f"load-meter-{date}-{number:03d}.{form}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if form == "parquet":
        pq.write_table(table, target, compression="zstd", compression_level=1, store_schema=False)
        return
    stamp = "strftime({0}, '%Y-%m-%dT%H:%M:%S.%fZ') as {0}".format
    columns = f"{stamp('event_ts')}, {stamp('ingested_ts')}, cast(quantity as varchar) as quantity"
    options = "format csv, header true" if form == "csv" else "format json"
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("part", table)
        connection.execute(
            f"copy (select * replace ({columns}) from part)"
            f" to '{str(target).replace(chr(39), chr(39) * 2)}' ({options})"
        )


def day_tables(
    day: int, counts: tuple[int, int, int, int], accounts: int, seed: int
) -> Iterator[tuple[pa.Table, np.ndarray, np.ndarray]]:
    """The day's events in chunks of bounded size."""
    parts = max(1, -(-counts[0] // CHUNK))
    for number, (count, *shares) in enumerate(zip(*(split(n, parts) for n in counts), strict=True)):
        yield chunk(np.random.Generator(np.random.PCG64([seed, day, number])), day, count, tuple(shares), accounts)


def hold_back(
    table: pa.Table,
    again: np.ndarray,
    late: np.ndarray,
    day: int,
    waiting: dict[int, list[pa.Table]],
    rng: np.random.Generator,
) -> pa.Table:
    """Puts copies of the rows to repeat, and the late rows, into the days to come; returns what is on time."""
    delays = rng.integers(2, LONGEST_DELAY + 1, len(again))
    for delay in np.unique(delays):
        waiting[day + int(delay)].append(table.take(pa.array(np.sort(again[delays == delay]))))
    collected = table["ingested_ts"].to_numpy()[late].astype("datetime64[D]")
    delays = (collected - np.datetime64(START + dt.timedelta(days=day), "D")).astype(int)
    for delay in np.unique(delays):
        waiting[day + int(delay)].append(table.take(pa.array(np.sort(late[delays == delay]))))
    keep = np.ones(table.num_rows, dtype=bool)
    keep[late] = False
    return table.filter(pa.array(keep))


def write_load(
    folder: Path, events: int, days: int, accounts: int = 500, seed: int = company.SEED, form: str = "parquet"
) -> dict:
    """Writes the load set and returns its figures (also in load.json). `events` counts repeated records too."""
    repeated, late, bare = (int(events * share) for share in (DUPLICATES, LATE, WITHOUT_KEY))
    per_day = list(zip(*(split(n, days) for n in (events - repeated, repeated, late, bare)), strict=True))
    waiting: dict[int, list[pa.Table]] = defaultdict(list)
    rows = 0
    for day in range(days + LONGEST_DELAY + 1):
        rng = np.random.Generator(np.random.PCG64([seed, day, 1 << 20]))
        ready = [pa.concat_tables(waiting.pop(day))] if day in waiting else []
        rows += sum(table.num_rows for table in ready)
        for number, table in enumerate(ready):
            write_part(folder, day, 900 + number, form, table)
        if day >= days:
            continue
        for number, (table, again, late_rows) in enumerate(day_tables(day, per_day[day], accounts, seed)):
            on_time = hold_back(table, again, late_rows, day, waiting, rng)
            rows += on_time.num_rows
            write_part(folder, day, number, form, on_time)
    figures = {
        "records": rows,
        "duplicates": repeated,
        "late": late,
        "unattributed": bare,
        "attributed": rows - repeated - bare,
        "days": days,
        "accounts": accounts,
        "seed": seed,
    }
    write_files(folder, {**references(accounts), "load.json": as_json(figures)})
    return figures

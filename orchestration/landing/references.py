"""A reference file becomes a new version of its table, or is refused whole with every fault listed."""

import csv
import re
import zoneinfo
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestration.errors import UsageWarehouseError
from orchestration.landing.readers import Unreadable, parquet
from orchestration.landing.reference_tables import ARROW_TYPES, SPANS, TABLES, Column, Table
from orchestration.settings import DBT_PROJECT

Row = dict[str, Any]


class _Broken(Exception):
    """The file cannot be read as a table at all."""


def read_reference(
    path: Path, format_: str, table_name: str, batch_id: int, most_bytes: int
) -> tuple[pa.Table, list[str]]:
    """The file's rows in the lake's types, and its faults; with any fault the rows are worth nothing.

    `most_bytes` is what it may expand to.
    """
    table = TABLES[table_name]
    try:
        texts = _csv_texts(path) if format_ == "csv" else _parquet_texts(path, most_bytes)
    except _Broken as broken:
        return table.schema.empty_table(), [str(broken)]
    faults = [
        f"column {column.name} is missing"
        for column in table.columns
        if column.required and column.name not in texts.names
    ]
    faults += texts.faults
    if faults:
        return table.schema.empty_table(), faults
    rows = [_typed(table, number, cells, faults) for number, cells in enumerate(texts.rows, 1)]
    faults += [
        *_doubled(table, rows),
        *_spans(table, rows),
        *_overlaps(table, rows),
        *_packages(rows),
        *_tiers(table, rows),
        *_circles(table, rows),
    ]
    if faults:
        return table.schema.empty_table(), faults
    return pa.Table.from_pylist([row | {"batch_id": batch_id} for row in rows], table.schema), []


class _Texts:
    """A file's cells as text, empty ones null, one dictionary per row, with the faults found while reading them."""

    def __init__(self, names: Iterable[str], rows: list[dict[str, str | None]], faults: list[str]) -> None:
        self.names, self.rows, self.faults = list(names), rows, faults
        doubled = sorted({name for name in self.names if self.names.count(name) > 1})
        self.faults += [f"column {name} stands twice" for name in doubled]


def _csv_texts(path: Path) -> _Texts:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [cells for cells in csv.reader(file, strict=True) if any(cell.strip() for cell in cells)]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise _Broken(f"not readable as CSV in UTF-8: {error}") from None
    if not lines:
        raise _Broken("no header line")
    names = [name.strip() for name in lines[0]]
    faults = [
        f"row {number}: {len(cells)} cells under a header of {len(names)}"
        for number, cells in enumerate(lines[1:], 1)
        if len(cells) != len(names)
    ]
    return _Texts(
        names, [dict(zip(names, (cell or None for cell in cells), strict=False)) for cells in lines[1:]], faults
    )


def _parquet_texts(path: Path, most_bytes: int) -> _Texts:
    rows = []
    try:
        names = parquet.column_names(path)
        for _, batch in parquet.pieces(path, None, most_bytes):
            columns = [parquet.as_text(column)[0].to_pylist() for column in batch.columns]
            rows += [
                {name: cell or None for name, cell in zip(names, cells, strict=True)}
                for cells in zip(*columns, strict=True)
            ]
    except Unreadable as error:
        raise _Broken(str(error)) from None
    return _Texts(names, rows, [])


def _typed(table: Table, number: int, cells: dict[str, str | None], faults: list[str]) -> Row:
    """One row in the table's types; what cannot be typed, or may not be so, is added to the faults and null."""
    row: Row = {}
    for column in table.columns:
        text = cells.get(column.name)
        row[column.name] = None
        if text is None:
            if column.required:
                faults.append(f"row {number}: {column.name} is empty")
            row[column.name] = _PARSERS[column.kind](str(column.default)) if column.default is not None else None
            continue
        try:
            value = _PARSERS[column.kind](text)
        except (ValueError, InvalidOperation, OverflowError):
            faults.append(f"row {number}: {column.name} {text[:80]!r} is not {_KIND_NAMES[column.kind]}")
            continue
        if complaint := _complaint(column, value):
            faults.append(f"row {number}: {column.name} {text[:80]!r} {complaint}")
        else:
            row[column.name] = value
    return row


def _complaint(column: Column, value: Any) -> str | None:
    if isinstance(column.one_of, tuple) and value not in column.one_of:
        return f"is not one of {', '.join(column.one_of)}"
    if isinstance(column.one_of, str) and not _LISTS[column.one_of](value):
        return f"is not a known {column.one_of.replace('_', ' ')}"
    if column.above is not None and value <= column.above:
        return f"is not above {column.above}"
    if column.least is not None and value < column.least:
        return f"is below {column.least}"
    if column.most is not None and value > column.most:
        return f"is above {column.most}"
    return None


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}[
            text.lower()
        ]
    except KeyError:
        raise ValueError(text) from None


def _integer(text: str) -> int:
    number = _number(text)
    if number != int(number) or abs(number) >= 1 << 31:
        raise ValueError(text)
    return int(number)


def _number(text: str) -> Decimal:
    if not re.fullmatch(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", text):
        raise ValueError(text)
    return Decimal(text)


def _exact(kind: str) -> Callable[[str], Decimal]:
    places = ARROW_TYPES[kind].scale
    whole = ARROW_TYPES[kind].precision - places

    def parse(text: str) -> Decimal:
        number = _number(text)
        if (number != 0 and number.adjusted() >= whole) or number.normalize().as_tuple().exponent < -places:
            raise ValueError(text)
        return number

    return parse


def _instant(text: str) -> datetime:
    """UTC without zone, as the lake keeps it; without offset it is UTC, a date alone its first instant."""
    instant = datetime.fromisoformat(text)
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant


def _date(text: str) -> date:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return date.fromisoformat(text)
    instant = datetime.fromisoformat(text)
    if (instant.hour, instant.minute, instant.second, instant.microsecond) != (0, 0, 0, 0):
        raise ValueError(text)
    return instant.date()


_PARSERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "boolean": _boolean,
    "integer": _integer,
    "decimal": _exact("decimal"),
    "factor": _exact("factor"),
    "date": _date,
    "instant": _instant,
}
_KIND_NAMES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "decimal": "a decimal number of at most 26 digits before and 12 after the point",
    "factor": "a decimal number of at most 20 digits before and 18 after the point",
    "date": "a date (YYYY-MM-DD)",
    "instant": "an ISO 8601 time",
}


@cache
def _currencies() -> frozenset[str]:
    path = DBT_PROJECT / "seeds" / "currencies.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return frozenset(row["currency_code"] for row in csv.DictReader(file))
    except (OSError, KeyError) as error:
        raise UsageWarehouseError(f"the list of currencies {path} cannot be read: {error}") from error


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


_LISTS: dict[str, Callable[[str], bool]] = {
    "currency": lambda code: code in _currencies(),
    "time_zone": lambda name: name in _time_zones(),
    "period": lambda text: re.fullmatch(r"[0-9]{4}-(?:0[1-9]|1[0-2])", text) is not None,
}


def _doubled(table: Table, rows: list[Row]) -> Iterable[str]:
    for key in table.keys:
        first_row: dict[tuple[Any, ...], int] = {}
        for number, row in enumerate(rows, 1):
            value = tuple(row[name] for name in key)
            if None in value:
                continue
            if (earlier := first_row.setdefault(value, number)) != number:
                yield f"row {number}: duplicate key ({_shown(key, row)}), already in row {earlier}"


def _shown(names: tuple[str, ...], row: Row) -> str:
    return ", ".join(f"{name} {str(row[name])!r}" for name in names)


def _spans(table: Table, rows: list[Row]) -> Iterable[str]:
    for start, end in SPANS:
        if {start, end} <= {column.name for column in table.columns}:
            for number, row in enumerate(rows, 1):
                if row[start] is not None and row[end] is not None and row[start] >= row[end]:
                    yield f"row {number}: {start} {row[start]} is not before {end} {row[end]}"


def _overlaps(table: Table, rows: list[Row]) -> Iterable[str]:
    """Half-open validities of one thing that overlap; a row is compared with the one reaching furthest so far."""
    if not table.validity:
        return
    groups: dict[tuple[Any, ...], list[tuple[Any, Any, int, Row]]] = defaultdict(list)
    least, most = (date.min, date.max) if _has_dates(table) else (datetime.min, datetime.max)
    for number, row in enumerate(rows, 1):
        start, end = row["valid_from"] or least, row["valid_to"] or most
        if start < end:
            groups[tuple(row[name] for name in table.validity)].append((start, end, number, row))
    for group in groups.values():
        group.sort(key=lambda member: member[:3])
        _, reach, reaching, _ = group[0]
        for start, end, number, row in group[1:]:
            if start < reach:
                yield f"row {number}: validity overlaps that of row {reaching} ({_shown(table.validity, row)})"
            if end > reach:
                reach, reaching = end, number


def _has_dates(table: Table) -> bool:
    return any(column.name == "valid_from" and column.kind == "date" for column in table.columns)


def _packages(rows: list[Row]) -> Iterable[str]:
    for number, row in enumerate(rows, 1):
        if row.get("model") == "package" and row["package_size"] is None:
            yield f"row {number}: a package price needs a package_size"


def _tiers(table: Table, rows: list[Row]) -> Iterable[str]:
    """Tiers are numbered 1..n, their up_to ascends, and only the last may be without."""
    if not table.tiers:
        return
    prices: dict[str, list[tuple[int, int, Row]]] = defaultdict(list)
    for number, row in enumerate(rows, 1):
        if row["tier_number"] is not None:
            prices[row["price_id"]].append((row["tier_number"], number, row))
    for price_id, tiers in prices.items():
        tiers.sort(key=lambda tier: tier[:2])
        if [tier for tier, _, _ in tiers] != list(range(1, len(tiers) + 1)):
            yield f"row {tiers[0][1]}: tiers of price {price_id!r} are not numbered 1 to {len(tiers)}"
        for (_, _, lower), (tier, number, upper) in pairwise(tiers):
            if lower["up_to"] is None:
                yield f"row {number}: tier {tier} of price {price_id!r} follows one without up_to"
            elif upper["up_to"] is not None and upper["up_to"] <= lower["up_to"]:
                yield f"row {number}: up_to of tier {tier} of price {price_id!r} is not above that of the tier before"


def _circles(table: Table, rows: list[Row]) -> Iterable[str]:
    """Parents that are their own ancestors: nobody could be invoiced. Each circle is told once, at its first row."""
    if not table.parent:
        return
    parent, key = table.parent
    parents = {row[key]: row[parent] for row in rows}
    told: set[str] = set()
    for number, row in enumerate(rows, 1):
        path, at = [], row[key]
        while at in parents and at not in path and at not in told:
            path.append(at)
            at = parents[at]
        if at in path:
            circle = path[path.index(at) :]
            told.update(circle)
            yield f"row {number}: {parent} runs in a circle: {' → '.join([*circle, at])}"

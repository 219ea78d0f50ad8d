"""The case tables in cases/*.csv: one price, one account, one month and what it must come to, per row."""

import csv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tests.rating import notation
from tests.rating.notation import NotationError, Tier, TierAmount

CASES = Path(__file__).parent / "cases"
COLUMNS = (
    "case", "source", "model", "currency_code", "free_units", "package_size", "tiers", "quantity",
    "expected_precise_amount", "expected_amount", "expected_tiers", "worked",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A row. `expected_precise_amount` is None where no line may appear; `expected_tiers` is empty where nobody wrote them."""

    case: str
    source: str
    model: str
    currency_code: str
    free_units: Decimal | None
    package_size: Decimal | None
    tiers: tuple[Tier, ...]
    quantities: tuple[Decimal, ...]
    expected_precise_amount: Decimal | None
    expected_amount: Decimal | None
    expected_tiers: tuple[TierAmount, ...]
    worked: str


def read_cases() -> list[Case]:
    """All rows of all tables. Raises NotationError naming file and row for a row that cannot be read, and for a name used twice."""
    cases, seen = [], {}
    for path in sorted(CASES.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise NotationError(f"{path.name}: the columns must be {', '.join(COLUMNS)}")
            for row in reader:
                where = f"{path.name} line {reader.line_num}"
                case = _case(row, where)
                if case.case in seen:
                    raise NotationError(f"{where}: {case.case!r} is also in {seen[case.case]}")
                seen[case.case] = where
                cases.append(case)
    return cases


def _case(row: dict[str, str], where: str) -> Case:
    if None in row or None in row.values() or not all(row[name] for name in ("case", "source", "model", "worked")):
        raise NotationError(f"{where}: a cell too many, or none where one is needed")
    no_line = row["expected_precise_amount"] == notation.NOTHING
    try:
        return Case(
            case=row["case"],
            source=row["source"],
            model=row["model"],
            currency_code=row["currency_code"],
            free_units=_number(row["free_units"]),
            package_size=_number(row["package_size"]),
            tiers=notation.tiers(row["tiers"]),
            quantities=notation.quantities(row["quantity"]),
            expected_precise_amount=None if no_line else notation.number(row["expected_precise_amount"]),
            expected_amount=None if no_line else notation.number(row["expected_amount"]),
            expected_tiers=notation.tier_amounts(row["expected_tiers"]) if row["expected_tiers"] else (),
            worked=row["worked"],
        )
    except NotationError as error:
        raise NotationError(f"{where}: {error}") from None


def _number(text: str) -> Decimal | None:
    return notation.number(text) if text else None

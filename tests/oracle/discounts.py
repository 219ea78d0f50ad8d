"""Percentage discounts: where they cut a period into slices, and what each takes off a usage or subscription line."""

from collections.abc import Iterable
from datetime import date

from tests.oracle.exact import round_half_away
from tests.oracle.lines import Line, charged
from tests.oracle.rating import PRECISE_DIGITS
from tests.oracle.references import Books, in_force


def discounts_of(books: Books, account_id: str, sku: str) -> list[dict]:
    """The account's own discounts on this SKU, whenever they are in force, in the order in which they apply."""
    rows = books.discounts.get((account_id,), ())
    return sorted((row for row in rows if row["sku"] in (sku, "*")), key=lambda row: row["discount_id"])


def discount_boundary(books: Books, account_id: str, sku: str, day: date) -> date | None:
    """The latest day, up to `day`, on which a discount of the account on this SKU begins or ends."""
    edges = (row[edge] for row in discounts_of(books, account_id, sku) for edge in ("valid_from", "valid_to"))
    return max((edge for edge in edges if edge is not None and edge <= day), default=None)


def slice_start(day: date, *begins: date | None) -> date | None:
    """The first day of the slice that `day` lies in: the latest of what begins in it; None: it begins with the period."""
    latest = max((begin for begin in begins if begin is not None), default=None)
    return latest if latest is not None and latest > day.replace(day=1) else None


def discount_lines(books: Books, base_lines: Iterable[Line]) -> list[Line]:
    """One line per usage or subscription line and discount in force on its first day."""
    return [line for base in base_lines for line in _taken_off(books, base)]


def _taken_off(books: Books, base: Line) -> list[Line]:
    """Each discount takes its percentage of what those before it left over; one that takes nothing has no line."""
    lines, left = [], base.precise_amount
    for row in discounts_of(books, base.account_id, base.sku):
        if not in_force(row, base.first_date):
            continue
        precise = -round_half_away(row["percent"] * left / 100, PRECISE_DIGITS)
        left += precise
        if precise:
            lines.append(_discount_line(base, row["discount_id"], precise))
    return lines


def _discount_line(base: Line, discount_id: str, precise) -> Line:
    return charged(
        precise,
        base.currency_code,
        billing_period=base.billing_period,
        account_id=base.account_id,
        line_type="discount",
        reference_id=discount_id,
        sku=base.sku,
        region=base.region,
        price_id=base.price_id,
        pricing_model=base.pricing_model,
        slice_from=base.slice_from,
        first_date=base.first_date,
        base=base,
    )

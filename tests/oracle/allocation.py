"""How a minimum or credit line is split over the accounts and SKUs that it stands for, to the minor unit."""

from collections import defaultdict
from decimal import Decimal
from typing import NamedTuple

from tests.oracle.currencies import minor_unit
from tests.oracle.hierarchy import Hierarchy
from tests.oracle.lines import Line
from tests.oracle.references import Books

ALLOCATED = ("minimum", "credit")
STANDS_FOR = ("usage", "subscription", "discount")


class AllocationKey(NamedTuple):
    """The line (by period, type and reference), and the account and SKU that bear this part of it."""

    billing_period: str
    line_type: str
    reference_id: str
    account_id: str
    sku: str


def allocate_lines(books: Books, lines: list[Line]) -> dict[AllocationKey, Decimal]:
    """The parts of every minimum and credit line among one period's lines."""
    tree, parts = Hierarchy(books), {}
    for line in lines:
        if line.line_type in ALLOCATED:
            for (account_id, sku), part in _split(line, _weights(tree, line, lines)).items():
                parts[AllocationKey(line.billing_period, line.line_type, line.reference_id, account_id, sku)] = part
    return parts


def _weights(tree: Hierarchy, line: Line, lines: list[Line]) -> dict[tuple[str, str], Decimal]:
    """(account, SKU) → net amount, where it is positive; where there is none, the line's own account and `*`."""
    covered, net = tree.subtree(line.account_id), defaultdict(Decimal)
    for other in lines:
        is_covered = other.account_id in covered and other.currency_code == line.currency_code
        if is_covered and other.charge_type in STANDS_FOR:
            net[other.account_id, other.sku] += other.amount
    positive = {place: amount for place, amount in net.items() if amount > 0}
    return positive or {(line.account_id, line.sku): Decimal(1)}


def _split(line: Line, weights: dict[tuple[str, str], Decimal]) -> dict[tuple[str, str], Decimal]:
    """Whole minor units in proportion, rounded down; the units left over by largest remainder, then account and SKU."""
    digits, sign = minor_unit(line.currency_code), -1 if line.amount < 0 else 1
    units = int(abs(line.amount).scaleb(digits))
    scaled = {place: int(weight.scaleb(digits)) for place, weight in weights.items()}
    total = sum(scaled.values())
    whole = {place: units * weight // total for place, weight in scaled.items()}
    by_remainder = sorted(scaled, key=lambda place: (-(units * scaled[place] % total), place))
    for place in by_remainder[: units - sum(whole.values())]:
        whole[place] += 1
    return {place: (sign * Decimal(count)).scaleb(-digits) for place, count in whole.items()}

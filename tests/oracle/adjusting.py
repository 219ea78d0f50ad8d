"""Adjustments of final periods: what usage, discounts and minimums are worth now, minus what was billed for them.

Subscriptions and credits of a final period are not adjusted. Its subscription lines, as billed, are what discounts are
taken off from and what counts towards a minimum.
"""

from decimal import Decimal
from typing import NamedTuple

from tests.oracle.closing import ClosedBooks
from tests.oracle.counting import State
from tests.oracle.discounts import discount_lines
from tests.oracle.invoicing import rate_period
from tests.oracle.lines import Line
from tests.oracle.minimums import minimum_lines

ZERO = Decimal(0)
ADJUSTED = ("usage", "discount", "minimum")


class ChargeKey(NamedTuple):
    """What is adjusted: one slice of a charge. A discount is one per line that it takes off from."""

    account_id: str
    charge_type: str
    reference_id: str
    sku: str
    region: str
    price_id: str | None
    base_reference_id: str | None
    slice_from: object
    currency_code: str


def adjustments(state: State, closed: ClosedBooks) -> list[Line]:
    """Rule 20: everything known now of each final period, minus everything already billed for it."""
    target = closed.earliest_open_period(state)
    return [line for origin in closed.cutoffs for line in _adjust(state, closed, origin, target)]


def worth_now(state: State, closed: ClosedBooks, origin: str) -> list[Line]:
    """The lines that a final period would have if its usage, discounts and minimums were billed today."""
    usage = list(rate_period(state, origin).lines.values())
    frozen = [line for line in closed.lines if line.line_type == "subscription" and line.billing_period == origin]
    discounts = discount_lines(state.books, (*usage, *frozen))
    return [*usage, *discounts, *minimum_lines(state.books, origin, [*usage, *frozen, *discounts])]


def _adjust(state: State, closed: ClosedBooks, origin: str, target: str) -> list[Line]:
    billed = [line for line in closed.lines if line.origin_period == origin and line.charge_type in ADJUSTED]
    sums: dict[ChargeKey, list] = {}
    for lines, sign in ((worth_now(state, closed, origin), 1), (billed, -1)):
        for line in lines:
            total = sums.setdefault(_key(line), [ZERO, ZERO, ZERO, line])
            for at, figure in enumerate((line.quantity, line.precise_amount, line.amount)):
                total[at] += sign * figure
            if total[3].unit is None:
                total[3] = line
    return [_adjustment(origin, target, key, *total) for key, total in sums.items() if any(total[:3])]


def _key(line: Line) -> ChargeKey:
    return ChargeKey(
        line.account_id,
        line.charge_type,
        line.reference_id,
        line.sku,
        line.region,
        line.price_id,
        line.base and line.base.reference_id,
        line.slice_from,
        line.currency_code,
    )


def _adjustment(origin: str, target: str, key: ChargeKey, quantity, precise, amount, like: Line) -> Line:
    return Line(
        billing_period=target,
        origin_period=origin,
        account_id=key.account_id,
        line_type="adjustment",
        charge_type=key.charge_type,
        reference_id=key.reference_id,
        sku=key.sku,
        region=key.region,
        price_id=key.price_id,
        slice_from=key.slice_from,
        quantity=quantity,
        unit=like.unit,
        currency_code=key.currency_code,
        precise_amount=precise,
        amount=amount,
        base=like.base,
    )

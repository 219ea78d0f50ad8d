"""Rates quantities in plain Decimal arithmetic, straight from the rules: no SQL, no code of the warehouse.

A line is one account, period, SKU, region and price; tiers and free units count per line.
"""

from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import cache

from raw_samples.generator import company

EXACT = Context(prec=60, rounding=ROUND_HALF_UP)  # ROUND_HALF_UP is half away from zero
TWELVE = Decimal("1e-12")


@dataclass(frozen=True)
class Tier:
    up_to: Decimal | None
    unit_price: Decimal
    flat_fee: Decimal


@dataclass(frozen=True)
class Price:
    price_id: str
    plan_id: str
    sku: str
    region: str
    currency: str
    model: str
    free_units: Decimal
    valid_from: str | None
    valid_to: str | None
    tiers: tuple[Tier, ...]

    def valid_on(self, date: str) -> bool:
        return (self.valid_from is None or self.valid_from <= date) and (self.valid_to is None or date < self.valid_to)


_FACTOR = {unit: (base, Fraction(text)) for unit, base, text in company.UNITS}


@cache
def factor(metric: str, unit: str, sampling_rate: str | None) -> Fraction:
    """What one unit of an event adds to the metric's figure: unit conversion times 1/rate, exactly."""
    meter = company.ALL_METRICS[metric]
    (base, own), (metric_base, metric_own) = _FACTOR[unit], _FACTOR[meter.unit]
    if base != metric_base:
        raise ValueError(f"{unit} does not convert to {meter.unit}")
    return own / metric_own / Fraction(sampling_rate or "1")


def converted(metric: str, quantity: Decimal, unit: str, sampling_rate: str | None) -> Decimal:
    """The event's quantity in the metric's unit, weighted by 1/rate, rounded once to nine digits, half away from zero.

    An event of a `count` metric counts as one, whatever its quantity.
    """
    ratio = factor(metric, unit, sampling_rate)
    counts = company.ALL_METRICS[metric].aggregation == "count"
    billionths = (10**9 if counts else int(quantity.scaleb(9))) * ratio.numerator
    magnitude = (2 * abs(billionths) + ratio.denominator) // (2 * ratio.denominator)
    return Decimal(magnitude if billionths >= 0 else -magnitude).scaleb(-9)


def half_away(value: Decimal, digits: int) -> Decimal:
    """Rounded half away from zero."""
    return value.quantize(Decimal(1).scaleb(-digits), context=EXACT)


def rate(price: Price, quantity: Decimal) -> tuple[Decimal, Decimal]:
    """(precise, rounded) amount of one line."""
    rest = max(Decimal(0), quantity - price.free_units)
    precise, lower = Decimal(0), Decimal(0)
    tiers = price.tiers if price.model == "graduated" else price.tiers[:1]
    for number, tier in enumerate(tiers, start=1):
        upper = None if price.model != "graduated" or number == len(tiers) else tier.up_to
        part = max(Decimal(0), (rest if upper is None else min(rest, upper)) - lower)
        if part or number == 1:
            fee = tier.flat_fee if price.model == "graduated" else Decimal(0)
            precise += EXACT.add(EXACT.multiply(part, tier.unit_price), fee).quantize(TWELVE, context=EXACT)
        lower = upper if upper is not None else lower
    return precise, half_away(precise, company.MINOR_UNITS[price.currency])


class PriceBook:
    """Finds the price of a day's use: the plan held that day, then the exact region before `*`."""

    def __init__(self, prices: list[Price], plans: list[tuple[str, str, str | None, str | None]]) -> None:
        self._prices = defaultdict(list)
        for price in prices:
            self._prices[price.plan_id, price.sku].append(price)
        self.by_id = {price.price_id: price for price in prices}
        self._plans = defaultdict(list)
        for account_id, plan_id, valid_from, valid_to in plans:
            self._plans[account_id].append((plan_id, valid_from or "", valid_to or "9999"))
        self._found: dict[tuple, Price | None] = {}

    def plan(self, account_id: str, date: str) -> str:
        return next(plan for plan, start, end in self._plans[account_id] if start <= date < end)

    def find(self, account_id: str, date: str, sku: str, region: str) -> Price:
        """The one price of that use; a billable use without one is a fault of the generator."""
        key = (account_id, date, sku, region)
        if key not in self._found:
            candidates = [p for p in self._prices[self.plan(account_id, date), sku] if p.valid_on(date)]
            exact = [p for p in candidates if p.region == region] or [p for p in candidates if p.region == "*"]
            if len(exact) != 1:
                raise ValueError(f"{len(exact)} prices for {key}")
            self._found[key] = exact[0]
        return self._found[key]

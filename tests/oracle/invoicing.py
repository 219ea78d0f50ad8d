"""Usage lines of one period from counted usage: price choice, slices, zero-usage fees, and what nobody priced."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from tests.oracle.counting import DayKey, State, Usage
from tests.oracle.discounts import discount_boundary, slice_start
from tests.oracle.exact import exact_arithmetic
from tests.oracle.lines import Line, LineKey, charged
from tests.oracle.periods import days_of_period
from tests.oracle.rating import can_rate, precise_amount, rate_slices
from tests.oracle.references import Books, in_force

ZERO = Decimal(0)

# Models whose first tier's flat fee is due for a plan that is held, even when nothing was used.
FEE_WITHOUT_USAGE = ("flat", "graduated", "graduated_percentage")


class UnpricedKey(NamedTuple):
    billing_period: str
    account_id: str
    sku: str
    metric: str
    region: str
    plan_id: str | None


@dataclass
class Rated:
    """One period, rated: its usage lines, and its usage without a price."""

    lines: dict[LineKey, Line] = field(default_factory=dict)
    unpriced: dict[UnpricedKey, Usage] = field(default_factory=dict)


class Measured(NamedTuple):
    """Usage over which free units, tiers and packages run on: the usage lines of one price, whatever their slice."""

    account_id: str
    sku: str
    region: str
    unit: str | None
    price_id: str


@dataclass
class Slice:
    """The usage of one slice; `unit` is None when nothing was used."""

    first_date: date
    unit: str | None = None
    quantity: Decimal = ZERO


def rate_period(state: State, period: str) -> Rated:
    """The period rated on all usage and reference tables that the state knows: its usage lines and fees."""
    with exact_arithmetic():
        books, rated = state.books, Rated()
        measured: dict[Measured, dict[date | None, Slice]] = defaultdict(dict)
        prices = {}
        for day, usage in sorted(state.days_of(period).items()):
            if books.is_billable(day.sku):
                price = _measure(books, day, usage, measured)
                if price is None:
                    key = UnpricedKey(
                        period,
                        day.account_id,
                        day.sku,
                        day.metric,
                        day.region,
                        books.plan_on(day.account_id, day.billing_date),
                    )
                    rated.unpriced.setdefault(key, Usage(usage.unit)).add(usage.quantity, ZERO, usage.event_count)
                else:
                    prices[price["price_id"]] = price
        used = {(key.account_id, key.price_id) for key in measured}
        for account_id, price, first_due in fees_without_usage(books, period):
            if (account_id, price["price_id"]) not in used:
                key = Measured(account_id, price["sku"], price["region"], None, price["price_id"])
                measured[key][None], prices[price["price_id"]] = Slice(first_due), price
        for key, slices in measured.items():
            for line in _lines(books, period, key, prices[key.price_id], slices):
                rated.lines[line.key] = line
        return rated


def _measure(books: Books, day: DayKey, usage: Usage, measured) -> dict | None:
    """Adds one day's usage to the slice that it lies in, and returns its price; None: nobody priced it."""
    plan = books.plan_row_on(day.account_id, day.billing_date) or {"plan_id": None, "valid_from": None}
    price = price_for(books, day.account_id, plan["plan_id"], day.sku, day.region, day.billing_date)
    if price is None:
        return None
    if price["model"] == "flat":  # one line a period, wherever and whatever was used
        key, start = Measured(day.account_id, day.sku, price["region"], None, price["price_id"]), None
    else:
        key = Measured(day.account_id, day.sku, day.region, usage.unit, price["price_id"])
        boundary = discount_boundary(books, day.account_id, day.sku, day.billing_date)
        start = slice_start(day.billing_date, plan["valid_from"], _price_boundary(books, price, day), boundary)
    part = measured[key].setdefault(start, Slice(day.billing_date, usage.unit))
    part.quantity += usage.quantity
    return price


def _price_boundary(books: Books, price: dict, day: DayKey) -> date | None:
    """The last day up to this one on which a price for the same usage began or ended, whichever price applies."""
    bounds = [
        bound
        for other in books.prices[(price["plan_id"], price["sku"])]
        if other["region"] in (day.region, "*") and _is_complete(books, other)
        for bound in (other["valid_from"], other["valid_to"])
        if bound is not None and bound <= day.billing_date
    ]
    return max(bounds, default=None)


def _lines(books: Books, period: str, key: Measured, price: dict, slices: dict[date | None, Slice]) -> Iterator[Line]:
    """One line per slice, in order; the one without a start begins with the period."""
    ordered = sorted(slices.items(), key=lambda item: item[0] or date.min)
    charges = rate_slices(price, books.tiers[(price["price_id"],)], [part.quantity for _, part in ordered])
    for (start, part), tiers in zip(ordered, charges, strict=True):
        yield charged(
            precise_amount(tiers),
            price["currency_code"],
            billing_period=period,
            account_id=key.account_id,
            line_type="usage",
            reference_id=price["price_id"],
            sku=key.sku,
            region=key.region,
            price_id=price["price_id"],
            pricing_model=price["model"],
            quantity=part.quantity,
            unit=part.unit,
            slice_from=start,
            first_date=part.first_date,
            tiers=tuple(tiers),
        )


def price_for(books: Books, account_id: str, plan_id: str | None, sku: str, region: str, day: date) -> dict | None:
    """Rule 14: by plan, SKU, region and date of use; the account's currency first, then exact region before `*`.

    Between two other currencies the one that comes first by its code is taken.
    """
    own_currency = books.accounts[account_id]["currency_code"]
    candidates = [
        price
        for price in books.prices.get((plan_id, sku), ())
        if price["region"] in (region, "*") and in_force(price, day) and _is_complete(books, price)
    ]
    return min(
        candidates,
        default=None,
        key=lambda price: (
            price["currency_code"] != own_currency,
            price["region"] == "*",
            price["currency_code"],
            price["price_id"],
        ),
    )


def _is_complete(books: Books, price: dict) -> bool:
    return can_rate(price, books.tiers.get((price["price_id"],), []))


def fees_without_usage(books: Books, period: str) -> Iterator[tuple[str, dict, date]]:
    """(account, price, first day) of every price whose fee is due, the account holding its plan from that day on."""
    days = days_of_period(period)
    for account_id in books.accounts:
        due = {}
        for day in days:
            plan_id = books.plan_on(account_id, day)
            for price in books.prices_of_plan.get((plan_id,), ()):
                if price["price_id"] not in due and _is_fee_due(books, account_id, price, day):
                    due[price["price_id"]] = (price, day)
        for price, first_due in due.values():
            yield account_id, price, first_due


def _is_fee_due(books: Books, account_id: str, price: dict, day: date) -> bool:
    """A flat price is always due, a tiered one when its first tier has a fee; only in the currency that applies."""
    if price["model"] not in FEE_WITHOUT_USAGE or not books.is_billable(price["sku"]):
        return False
    if price_for(books, account_id, price["plan_id"], price["sku"], price["region"], day) is not price:
        return False
    return price["model"] == "flat" or bool(books.tiers[(price["price_id"],)][0]["flat_fee"])

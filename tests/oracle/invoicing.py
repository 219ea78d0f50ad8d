"""Invoice lines of one period from counted usage: price choice, slices, zero-usage fees, and what nobody priced."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from tests.oracle.counting import State, Usage
from tests.oracle.exact import exact_arithmetic
from tests.oracle.rating import TierCharge, billed_amount, can_rate, precise_amount, rate
from tests.oracle.references import Books, in_force

ZERO = Decimal(0)

# Models whose first tier's flat fee is due for a plan that is held, even when nothing was used.
FEE_WITHOUT_USAGE = ("flat", "graduated", "graduated_percentage")


class LineKey(NamedTuple):
    """A usage line: tiers count per account, SKU, region and price within the period."""

    billing_period: str
    account_id: str
    sku: str
    region: str
    price_id: str


class UnpricedKey(NamedTuple):
    billing_period: str
    account_id: str
    sku: str
    metric: str
    region: str
    plan_id: str | None


@dataclass(frozen=True)
class Line:
    """An invoice line. `unit` is None when nothing was used; an adjustment has no price and no tiers."""

    billing_period: str
    origin_period: str
    account_id: str
    line_type: str
    sku: str
    region: str
    price_id: str | None
    pricing_model: str | None
    quantity: Decimal
    unit: str | None
    currency_code: str
    precise_amount: Decimal
    amount: Decimal
    tiers: tuple[TierCharge, ...] = ()

    @property
    def key(self) -> LineKey:
        return LineKey(self.billing_period, self.account_id, self.sku, self.region, self.price_id)


@dataclass
class Rated:
    """One period, rated: its usage lines, and its usage without a price."""

    lines: dict[LineKey, Line] = field(default_factory=dict)
    unpriced: dict[UnpricedKey, Usage] = field(default_factory=dict)


def rate_period(state: State, period: str) -> Rated:
    """The period rated on all usage and reference tables that the state knows."""
    with exact_arithmetic():
        books, rated = state.books, Rated()
        quantities: dict[LineKey, Decimal] = defaultdict(Decimal)
        units, prices = {}, {}
        for day, usage in sorted(state.days_of(period).items()):
            if not books.is_billable(day.sku):
                continue
            plan_id = books.plan_on(day.account_id, day.billing_date)
            price = price_for(books, day.account_id, plan_id, day.sku, day.region, day.billing_date)
            if price is None:
                key = UnpricedKey(period, day.account_id, day.sku, day.metric, day.region, plan_id)
                rated.unpriced.setdefault(key, Usage(usage.unit)).add(usage.quantity, ZERO, usage.event_count)
                continue
            region = price["region"] if price["model"] == "flat" else day.region
            key = LineKey(period, day.account_id, day.sku, region, price["price_id"])
            quantities[key] += usage.quantity
            units[key], prices[key] = usage.unit, price
        used = {(key.account_id, key.price_id) for key in quantities}
        for account_id, price in fees_without_usage(books, period):
            if (account_id, price["price_id"]) not in used:
                key = LineKey(period, account_id, price["sku"], price["region"], price["price_id"])
                quantities[key], prices[key] = ZERO, price
        for key, quantity in quantities.items():
            rated.lines[key] = _line(books, key, prices[key], quantity, units.get(key))
        return rated


def _line(books: Books, key: LineKey, price: dict, quantity: Decimal, unit: str | None) -> Line:
    charges = rate(price, books.tiers[(price["price_id"],)], quantity)
    precise = precise_amount(charges)
    return Line(
        billing_period=key.billing_period,
        origin_period=key.billing_period,
        account_id=key.account_id,
        line_type="usage",
        sku=key.sku,
        region=key.region,
        price_id=key.price_id,
        pricing_model=price["model"],
        quantity=quantity,
        unit=unit,
        currency_code=price["currency_code"],
        precise_amount=precise,
        amount=billed_amount(precise, price["currency_code"]),
        tiers=tuple(charges),
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


def fees_without_usage(books: Books, period: str) -> Iterator[tuple[str, dict]]:
    """(account, price) of every price whose fee is due because the account holds its plan on some day of the period."""
    days = days_of_period(period)
    for account_id in books.accounts:
        due = {}
        for day in days:
            plan_id = books.plan_on(account_id, day)
            for price in books.prices_of_plan.get((plan_id,), ()):
                if price["price_id"] not in due and _is_fee_due(books, account_id, price, day):
                    due[price["price_id"]] = price
        for price in due.values():
            yield account_id, price


def _is_fee_due(books: Books, account_id: str, price: dict, day: date) -> bool:
    """A flat price is always due, a tiered one when its first tier has a fee; only in the currency that applies."""
    if price["model"] not in FEE_WITHOUT_USAGE or not books.is_billable(price["sku"]):
        return False
    if price_for(books, account_id, price["plan_id"], price["sku"], price["region"], day) is not price:
        return False
    return price["model"] == "flat" or bool(books.tiers[(price["price_id"],)][0]["flat_fee"])


def days_of_period(period: str) -> list[date]:
    """Every date of the month YYYY-MM."""
    year, month = map(int, period.split("-"))
    first = date(year, month, 1)
    return [first + timedelta(days=number) for number in range(monthrange(year, month)[1])]


def next_period(period: str) -> str:
    """The month after YYYY-MM."""
    year, month = map(int, period.split("-"))
    return f"{year + month // 12:04d}-{month % 12 + 1:02d}"

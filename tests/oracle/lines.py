"""An invoice line, whatever it charges: its key, its figures, and how a charge becomes one."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from tests.oracle.rating import TierCharge, billed_amount

ZERO = Decimal(0)
WHOLE_ACCOUNT = "*"  # the SKU and region of a line that concerns an account as a whole


class LineKey(NamedTuple):
    """A usage line: one slice of what an account used of an SKU in a region at one price. `unit` is None without usage."""

    billing_period: str
    account_id: str
    sku: str
    region: str
    price_id: str
    slice_from: date | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Line:
    """An invoice line. `reference_id` is the row of the reference table that it rests on (price, discount, …).

    `origin_period` differs from `billing_period` on adjustments only, whose line_type is 'adjustment' and whose
    charge_type says what they adjust. `base` is the line that a discount takes off from. What a line says beyond its
    charge (whose invoice, reporting currency) is filled in when the bill is made.
    """

    billing_period: str
    account_id: str
    line_type: str
    reference_id: str
    sku: str
    region: str
    currency_code: str
    precise_amount: Decimal
    amount: Decimal
    quantity: Decimal = ZERO
    unit: str | None = None
    price_id: str | None = None
    pricing_model: str | None = None
    slice_from: date | None = None
    first_date: date | None = None
    tiers: tuple[TierCharge, ...] = ()
    base: "Line | None" = None
    charge_type: str = ""
    origin_period: str = ""
    invoice_account_id: str = ""
    fx_rate_date: date | None = None
    fx_rate: Decimal | None = None
    reporting_amount: Decimal | None = None

    def __post_init__(self):
        object.__setattr__(self, "charge_type", self.charge_type or self.line_type)
        object.__setattr__(self, "origin_period", self.origin_period or self.billing_period)

    @property
    def key(self) -> LineKey:
        return LineKey(
            self.billing_period, self.account_id, self.sku, self.region, self.price_id, self.slice_from, self.unit
        )


def charged(precise: Decimal, currency_code: str, **fields) -> Line:
    """A line of this precise amount, rounded once."""
    return Line(
        currency_code=currency_code,
        precise_amount=precise,
        amount=billed_amount(precise, currency_code),
        **fields,
    )

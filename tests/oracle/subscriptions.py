"""Subscriptions: a monthly amount, prorated by the days on which it is held, cut where a discount begins or ends."""

from decimal import Decimal
from fractions import Fraction

from tests.oracle.counting import QUANTITY_DIGITS
from tests.oracle.discounts import discount_boundary, slice_start
from tests.oracle.exact import round_half_away
from tests.oracle.lines import WHOLE_ACCOUNT, Line, charged
from tests.oracle.periods import days_of_period
from tests.oracle.rating import PRECISE_DIGITS
from tests.oracle.references import Books, in_force


def subscription_lines(books: Books, period: str) -> list[Line]:
    """One line per subscription of an existing account and slice of the days on which it is held."""
    return [
        line for row in books.subscriptions if row["account_id"] in books.accounts for line in _held(books, row, period)
    ]


def _held(books: Books, row: dict, period: str) -> list[Line]:
    days, slices = days_of_period(period), {}
    for day in days:
        if in_force(row, day):
            boundary = discount_boundary(books, row["account_id"], row["sku"], day)
            slices.setdefault(slice_start(day, boundary), []).append(day)
    return [_line(row, period, start, held, Fraction(len(held), len(days))) for start, held in slices.items()]


def _line(row: dict, period: str, slice_from, held: list, share: Fraction) -> Line:
    monthly = Fraction(row["monthly_amount"] or Decimal(0))
    return charged(
        round_half_away(monthly * share, PRECISE_DIGITS),
        row["currency_code"],
        billing_period=period,
        account_id=row["account_id"],
        line_type="subscription",
        reference_id=row["subscription_id"],
        sku=row["sku"],
        region=WHOLE_ACCOUNT,
        quantity=round_half_away(share, QUANTITY_DIGITS),
        unit="month",
        slice_from=slice_from,
        first_date=held[0],
    )

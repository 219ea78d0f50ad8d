"""Amounts in the reporting currency, at the latest rate known on the last day of the billing period."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from tests.oracle.lines import Line
from tests.oracle.periods import days_of_period
from tests.oracle.rating import billed_amount
from tests.oracle.references import Books

REPORTING_CURRENCY = "USD"


def rate_of(books: Books, currency_code: str, period: str) -> tuple[date | None, Decimal | None]:
    """(its date, the rate) from this currency to the reporting currency; (None, None) where there is none."""
    if currency_code == REPORTING_CURRENCY:
        return None, Decimal(1)
    last_day = days_of_period(period)[-1]
    known = [row for row in books.fx_rates.get((currency_code, REPORTING_CURRENCY), ()) if row["rate_date"] <= last_day]
    latest = max(known, key=lambda row: row["rate_date"], default=None)
    return (latest["rate_date"], latest["rate"]) if latest else (None, None)


def reported(amount: Decimal, rate: Decimal | None) -> Decimal | None:
    """The amount in the reporting currency, rounded once."""
    return None if rate is None else billed_amount(amount * rate, REPORTING_CURRENCY)


def in_reporting_currency(books: Books, line: Line) -> Line:
    """The line with its rate and its amount in the reporting currency."""
    rate_date, rate = rate_of(books, line.currency_code, line.billing_period)
    return replace(line, fx_rate_date=rate_date, fx_rate=rate, reporting_amount=reported(line.amount, rate))

"""Exact numbers: parsing decimals from text and rounding half away from zero. No figure here is ever a float."""

import re
from decimal import Context, Decimal, localcontext
from fractions import Fraction

# Wide enough for any sum or product of the contract's DECIMAL(38, …) figures, so that nothing is ever rounded silently.
WIDE = Context(prec=400)

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def exact_arithmetic():
    """A context manager in which Decimal arithmetic is exact for every figure of the contract."""
    return localcontext(WIDE)


def parse_decimal(text: str, fraction_digits: int, whole_digits: int) -> Decimal | None:
    """The number in `text`, or None: no number, or more digits than allowed (by its value: 1.50 needs one)."""
    if len(text) > 400 or not NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if number and number.adjusted() >= whole_digits:
        return None
    if -number.as_tuple().exponent > fraction_digits and not _fits(number, fraction_digits):
        return None
    return number


def _fits(number: Decimal, fraction_digits: int) -> bool:
    return (Fraction(number) * 10**fraction_digits).denominator == 1


def round_half_away(number: Decimal | Fraction | int, digits: int) -> Decimal:
    """`number` with `digits` fractional digits; exactly half goes away from zero (2.5 → 3, −2.5 → −3)."""
    if isinstance(number, Decimal) and number.as_tuple().exponent >= -digits:  # nothing to round, as nearly always
        return number.quantize(Decimal((0, (1,), -digits)), context=WIDE)
    number = Fraction(number)
    whole, rest = divmod(abs(number.numerator) * 10**digits, number.denominator)
    if 2 * rest >= number.denominator:
        whole += 1
    return Decimal(f"{'-' if number < 0 else ''}{whole}E-{digits}")


def round_up(number: Decimal | Fraction | int) -> int:
    """The smallest whole number that is not below `number`."""
    return -((-Fraction(number)) // 1)

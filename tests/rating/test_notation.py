"""The notation of the case tables says what it means, and refuses what it does not understand."""

from decimal import Decimal
from fractions import Fraction

import pytest

from tests.rating import notation
from tests.rating.notation import NotationError, Tier, TierAmount

D = Decimal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", D(12)),
        ("-0.005", D("-0.005")),
        ("1_000_000.5", D("1000000.5")),
        ("10^18", D("1000000000000000000")),
        ("10^-12", D("0.000000000001")),
        ("-10^3", D(-1000)),
    ],
)
def test_numbers_are_exact(text, expected):
    assert notation.number(text) == expected


@pytest.mark.parametrize("text", ["", "1e3", "1,000", "1_00", "NaN", "5 %", "10^", ".5", "3 4"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(NotationError):
        notation.number(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rest @ 5", (Tier(None, D(5), None, None),)),
        ("..10 @ 5; ..20 @ 4 + 10; rest @ 3", (Tier(D(10), D(5), None, None), Tier(D(20), D(4), D(10), None), Tier(None, D(3), None, None))),
        ("rest @ 2.9% + 0.30", (Tier(None, None, D("0.30"), D("2.9")),)),
        ("..100 + 30; rest + 50", (Tier(D(100), None, D(30), None), Tier(None, None, D(50), None))),
        ("..1_000@-0.5", (Tier(D(1000), D("-0.5"), None, None),)),
    ],
)  # fmt: skip
def test_tiers(text, expected):
    assert notation.tiers(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "rest", "..10", "rest @ 1; ..10 @ 2", "..10 @ 1; ..10 @ 2", "..20 @ 1; ..10 @ 2", "rest @ 1;", "..10 @ 1, rest @ 2", "rest @ 1 % 2"]
)  # fmt: skip
def test_what_are_no_tiers_is_refused(text):
    with pytest.raises(NotationError):
        notation.tiers(text)


def test_charges_of_tiers():
    assert notation.tier_amounts("1: 10 = 50; 3: 0.5 = -30.25") == (
        TierAmount(1, D(10), D(50)),
        TierAmount(3, D("0.5"), D("-30.25")),
    )
    with pytest.raises(NotationError):
        notation.tier_amounts("1: 10 50")


def test_quantities_of_events():
    assert notation.quantities("3; 4.5; -2") == (D(3), D("4.5"), D(-2))
    assert notation.quantities("none") == ()
    with pytest.raises(NotationError):
        notation.quantities("3; ; 4")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10 * 0.1 + 5", Fraction(6)),
        ("-(1 - 0.005)", Fraction(-995, 1000)),
        ("14 / 31 * 35", Fraction(490, 31)),
        ("ceil(121 / 10) * 100", Fraction(1300)),
        ("ceil(-15 / 10)", Fraction(-1)),
        ("round12(1 / 3)", Fraction(333333333333, 10**12)),
        ("10^18 * 10^-12", Fraction(10**6)),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("123456789012345678901.000000001 * 1", Fraction(123456789012345678901000000001, 10**9)),
    ],
)
def test_worked_arithmetic_is_exact(text, expected):
    assert notation.worked(text) == expected


@pytest.mark.parametrize("text", ["", "1 +", "x", "abs(1)", "ceil(1, 2)", "1 // 2", "(1).real", "'1'*2"])
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises((NotationError, ValueError)):
        notation.worked(text)

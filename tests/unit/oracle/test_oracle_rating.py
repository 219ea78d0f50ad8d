"""The oracle's pricing models against arithmetic done by hand (rules 12 and 13)."""

from decimal import Decimal
from fractions import Fraction

import pytest

from tests.oracle.exact import exact_arithmetic, parse_decimal, round_half_away
from tests.oracle.rating import billed_amount, precise_amount, rate

D = Decimal


def tier(number, up_to=None, unit_price=None, flat_fee=None, rate_percent=None):
    decimals = {"up_to": up_to, "unit_price": unit_price, "flat_fee": flat_fee, "rate_percent": rate_percent}
    return {"tier_number": number} | {name: None if value is None else D(value) for name, value in decimals.items()}


def charge(model, tiers, quantity, free_units="0", package_size=None):
    price = {"model": model, "free_units": D(free_units), "package_size": package_size and D(package_size)}
    with exact_arithmetic():
        return rate(price, tiers, D(quantity))


def total(*args, **kwargs):
    return precise_amount(charge(*args, **kwargs))


GRADUATED = [tier(1, "100", "0.10", "5"), tier(2, "250", "0.08", "2"), tier(3, None, "0.05", "1")]
FINITE = [tier(1, "10", "1"), tier(2, "20", "0.5")]
PERCENT_TIERS = [tier(1, "1000", flat_fee="0.30", rate_percent="2.9"), tier(2, rate_percent="1.5")]


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("0", "5"),  # the first tier's fee is due at zero usage, too
        ("100", "15"),  # 100 × 0.10 + 5: up_to is inclusive
        ("100.000000001", "17.00000000008"),  # 10 + 5, and 0.000000001 × 0.08 + 2: no gap for fractions
        ("250", "29"),  # 10 + 5 + 150 × 0.08 + 2
        ("250.5", "30.025"),  # 29 + 0.5 × 0.05 + 1
        ("1000", "67.5"),  # 29 + 750 × 0.05 + 1
    ],
)
def test_graduated_prices_each_slice_and_each_fee_once(quantity, expected):
    assert total("graduated", GRADUATED, quantity) == D(expected)


def test_graduated_shows_the_slices():
    charges = charge("graduated", GRADUATED, "260")
    assert [(each.tier_number, each.quantity, each.amount) for each in charges] == [
        (1, D(100), D(15)),
        (2, D(150), D(14)),
        (3, D(10), D("1.5")),
    ]


@pytest.mark.parametrize(("quantity", "expected"), [("20", "15"), ("35", "22.5")])
def test_a_quantity_beyond_a_finite_last_tier_stays_in_it(quantity, expected):
    # 10 × 1 + 10 × 0.5 = 15; 10 × 1 + 25 × 0.5 = 22.5
    assert total("graduated", FINITE, quantity) == D(expected)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("100", "15"),  # tier 1 prices all: 100 × 0.10 + 5
        ("100.000000001", "10.00000000008"),  # tier 2 prices all: 100.000000001 × 0.08 + 2
        ("250", "22"),  # 250 × 0.08 + 2
        ("251", "13.55"),  # 251 × 0.05 + 1
    ],
)
def test_volume_prices_all_in_the_tier_of_the_whole(quantity, expected):
    assert total("volume", GRADUATED, quantity) == D(expected)


def test_volume_beyond_a_finite_last_tier_stays_in_it():
    assert total("volume", FINITE, "40") == D(20)  # 40 × 0.5


@pytest.mark.parametrize(
    ("quantity", "free_units", "expected"),
    [
        ("1000", "0", "2.5"),  # exactly one package
        ("1000.000000001", "0", "5"),  # a fraction of the next one: two packages
        ("1000.000000001", "0.000000001", "2.5"),  # free units come off before rounding up
        ("0", "0", "0"),
        ("999", "1000", "0"),
    ],
)
def test_package_rounds_up_after_free_units(quantity, free_units, expected):
    assert total("package", [tier(1, None, "2.5")], quantity, free_units, package_size="1000") == D(expected)


@pytest.mark.parametrize(("quantity", "expected"), [("200", "6.10"), ("0.01", "0.30029")])
def test_percentage_of_the_quantity_plus_the_fee(quantity, expected):
    # 200 × 2.9 % = 5.80, + 0.30; 0.01 × 2.9 % = 0.00029, + 0.30
    assert total("percentage", PERCENT_TIERS[:1], quantity) == D(expected)


def test_graduated_percentage():
    # 1000 × 2.9 % + 0.30 = 29.30; 500 × 1.5 % = 7.50
    assert total("graduated_percentage", PERCENT_TIERS, "1500") == D("36.80")


def test_flat_is_its_fee_whatever_the_quantity():
    assert total("flat", [tier(1, flat_fee="49")], "0") == total("flat", [tier(1, flat_fee="49")], "123") == D(49)


@pytest.mark.parametrize(("quantity", "expected"), [("10", "0"), ("9", "0"), ("10.5", "0.05")])
def test_free_units_come_off_first(quantity, expected):
    assert total("per_unit", [tier(1, None, "0.1")], quantity, free_units="10") == D(expected)


def test_free_units_come_off_before_tiers():
    # 150 − 50 = 100: all in tier 1: 100 × 0.10 + 5
    assert total("graduated", GRADUATED, "150", free_units="50") == D(15)


def test_a_tier_is_precise_to_twelve_digits():
    # 0.000000001 × 0.0005 = 0.0000000000005: half, away from zero
    assert total("per_unit", [tier(1, None, "0.0005")], "0.000000001") == D("0.000000000001")


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0.005", "USD", "0.01"),
        ("0.004999999999", "USD", "0.00"),
        ("-0.005", "USD", "-0.01"),
        ("1.015", "EUR", "1.02"),  # binary floating point would give 1.01
        ("0.5", "JPY", "1"),
        ("2.5", "JPY", "3"),  # half to even would give 2
        ("-2.5", "JPY", "-3"),
        ("0.0005", "KWD", "0.001"),
        ("1.0004", "KWD", "1.000"),
    ],
)
def test_amounts_round_half_away_from_zero_at_the_minor_unit(amount, currency, expected):
    assert str(billed_amount(D(amount), currency)) == expected


def test_rounding_of_fractions_is_exact():
    assert round_half_away(Fraction(1, 3), 9) == D("0.333333333")
    assert round_half_away(Fraction(-2, 3), 9) == D("-0.666666667")
    assert round_half_away(Fraction(5, 10**10), 9) == D("0.000000001")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.123456789", "0.123456789"),
        ("1e3", "1000"),
        ("1.50000000000", "1.5"),
        ("0.1234567891", None),
        ("1e-10", None),
        ("9" * 29, "9" * 29),
        ("1" + "0" * 29, None),
        ("NaN", None),
        ("Infinity", None),
        ("1,5", None),
        ("1_000", None),
        ("0x1", None),
        ("٣", None),
        (" 1", None),
        ("1e999999999", None),
    ],
)
def test_quantities_fit_or_are_no_quantities(text, expected):
    assert parse_decimal(text, fraction_digits=9, whole_digits=29) == (expected and D(expected))

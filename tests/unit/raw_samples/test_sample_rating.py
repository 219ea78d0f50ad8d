"""The generator's own rating, by hand-computed cases: it is what the warehouse's bills are held against."""

from decimal import Decimal

import pytest

from raw_samples.generator.rating import Price, PriceBook, Tier, converted, half_away, rate


def price(*tiers: tuple, model: str = "graduated", free: str = "0", currency: str = "USD", **changes) -> Price:
    built = tuple(Tier(Decimal(up_to) if up_to else None, Decimal(unit), Decimal(fee)) for up_to, unit, fee in tiers)
    fields = {"price_id": "p", "plan_id": "plan", "sku": "sku", "region": "*", "valid_from": None, "valid_to": None}
    fields |= {"currency": currency, "model": model, "free_units": Decimal(free), "tiers": built} | changes
    return Price(**fields)


TIERS = (("10", "1", "0"), ("20", "0.5", "0"), (None, "0.1", "3"))


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("0", "0"),
        ("10", "10"),  # an edge belongs to the tier below
        ("10.5", "10.25"),  # 10 × 1 + 0.5 × 0.5
        ("20", "15"),  # 10 × 1 + 10 × 0.5
        ("20.000000001", "18"),  # a trace in tier 3: its fee of 3, and 0.0000000001
        ("30", "19"),  # 10 + 5 + 3 + 10 × 0.1
    ],
)
def test_graduated_tiers(quantity, amount):
    assert rate(price(*TIERS), Decimal(quantity))[1] == Decimal(amount)


def test_free_units_come_off_first():
    assert rate(price((None, "2", "0"), model="per_unit", free="100"), Decimal("101.5"))[1] == Decimal(3)
    assert rate(price((None, "2", "0"), model="per_unit", free="100"), Decimal("99"))[1] == 0


def test_a_finite_last_tier_takes_the_rest():
    assert rate(price(("10", "1", "0"), ("20", "0.5", "0")), Decimal(40))[1] == Decimal(25)


def test_lines_round_half_away_from_zero_at_the_minor_unit():
    assert rate(price((None, "0.005", "0"), model="per_unit"), Decimal(1)) == (Decimal("0.005"), Decimal("0.01"))
    assert rate(price((None, "0.5", "0"), model="per_unit", currency="JPY"), Decimal(1))[1] == Decimal(1)
    assert half_away(Decimal("-2.5"), 0) == Decimal(-3)


def test_conversion_is_exact_and_rounds_once():
    assert converted("instance_time", Decimal(1), "s", None) == Decimal("0.000277778")  # 1/3600
    assert converted("instance_time", Decimal(9), "ms", None) == Decimal("0.000002500")
    assert converted("api_egress", Decimal(-1), "byte", "0.5") == Decimal("-0.000000002")
    assert converted("api_egress", Decimal("0.5"), "byte", None) == Decimal("0.000000001")  # half away from zero
    assert converted("api_requests", Decimal(7), "request", "0.01") == 100  # a count: the event, not its quantity
    with pytest.raises(ValueError, match="does not convert"):
        converted("api_egress", Decimal(1), "hour", None)


def test_price_book_takes_the_plan_of_the_day_and_the_exact_region():
    book = PriceBook(
        [
            price((None, "1", "0"), price_id="any", valid_to="2026-10-16"),
            price((None, "1", "0"), price_id="new", valid_from="2026-10-16"),
            price((None, "1", "0"), price_id="here", region="here"),
            price((None, "1", "0"), price_id="other", plan_id="other"),
        ],
        [("a", "plan", "2026-01-01", "2026-10-20"), ("a", "other", "2026-10-20", None)],
    )
    days = ("2026-10-15", "2026-10-16", "2026-10-19", "2026-10-20")
    assert [book.find("a", day, "sku", "there").price_id for day in days] == ["any", "new", "new", "other"]
    assert book.find("a", "2026-10-15", "sku", "here").price_id == "here"
    with pytest.raises(ValueError, match="0 prices"):
        book.find("a", "2026-10-15", "unknown", "here")

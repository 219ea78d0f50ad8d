"""What a quantity costs at one price: the seven pricing models (rules 12 and 13), tier by tier, in exact decimals."""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from tests.oracle.currencies import minor_unit
from tests.oracle.exact import round_half_away, round_up

ZERO = Decimal(0)
PRECISE_DIGITS = 12


@dataclass(frozen=True)
class TierCharge:
    """What one tier charges: `quantity` × `unit_price` (or the tier's percentage) + `flat_fee` = `amount`."""

    tier_number: int
    quantity: Decimal
    unit_price: Decimal | None
    flat_fee: Decimal
    amount: Decimal


def can_rate(price: dict, tiers: list[dict]) -> bool:
    """Whether the price is complete: it has a tier, and a package has a size. An incomplete price prices nothing."""
    return bool(tiers) and (price["model"] != "package" or (price["package_size"] or ZERO) > 0)


def rate(price: dict, tiers: list[dict], quantity: Decimal) -> list[TierCharge]:
    """The charges of `quantity` (the period's, before free units) at this price. `tiers` are in order."""
    return [_rounded(charge) for charge in _exact(price, tiers, quantity)]


def _exact(price: dict, tiers: list[dict], quantity: Decimal) -> list[TierCharge]:
    return MODELS[price["model"]](price, tiers, after_free_units(price, quantity))


def _rounded(charge: TierCharge) -> TierCharge:
    """Each tier of a line is rounded once, at the 12th digit."""
    return replace(charge, amount=round_half_away(charge.amount, PRECISE_DIGITS))


def after_free_units(price: dict, quantity: Decimal) -> Decimal:
    """What is left to charge; usage that was taken back beyond what was used has no free units and stays negative."""
    return quantity - min(price["free_units"] or ZERO, max(ZERO, quantity))


def rate_slices(price: dict, tiers: list[dict], quantities: list[Decimal]) -> list[list[TierCharge]]:
    """What each of the successive slices of a period charges at one price; free units and tiers run on across them.

    A slice charges everything up to its end minus everything before it, tier by tier. At volume prices the tier of the
    whole prices every slice.
    """
    if price["model"] == "volume":
        tiers = [volume_tier(tiers, after_free_units(price, sum(quantities)))]
    charged, before, so_far = [], {}, ZERO
    for quantity in quantities:
        so_far += quantity
        until = {charge.tier_number: charge for charge in _exact(price, tiers, so_far)}
        charged.append(_beyond(before, until))
        before = until
    return charged


def _beyond(before: dict[int, TierCharge], until: dict[int, TierCharge]) -> list[TierCharge]:
    """`until` minus `before`; the first slice shows every tier entered, a later one the tiers that it moves."""
    found = []
    for number in sorted(before.keys() | until):
        old, new = before.get(number), until.get(number)
        difference = TierCharge(
            number,
            *(
                (new or old).unit_price if name == "unit_price" else getattr(new, name, ZERO) - getattr(old, name, ZERO)
                for name in ("quantity", "unit_price", "flat_fee", "amount")
            ),
        )
        if not before or difference.quantity or difference.flat_fee or difference.amount:
            found.append(_rounded(difference))
    return found


def precise_amount(charges: list[TierCharge]) -> Decimal:
    """The line's amount with 12 digits: the sum of its tiers' amounts."""
    return sum((charge.amount for charge in charges), ZERO)


def billed_amount(precise: Decimal, currency_code: str) -> Decimal:
    """The line's amount as billed: rounded once, half away from zero, at the currency's minor unit."""
    return round_half_away(precise, minor_unit(currency_code))


# --- the models: (price, tiers, quantity after free units) → charges --------------------------------------------------


def _per_unit(price, tiers, quantity):
    return [_charge(tiers[0], quantity, "unit_price", flat_fee=ZERO)]


def _flat(price, tiers, quantity):
    return [_charge(tiers[0], ZERO, None)]


def _graduated(price, tiers, quantity):
    return [_charge(tier, piece, "unit_price") for tier, piece in slices(tiers, quantity)]


def _graduated_percentage(price, tiers, quantity):
    return [_charge(tier, piece, "rate_percent") for tier, piece in slices(tiers, quantity)]


def _volume(price, tiers, quantity):
    return [_charge(volume_tier(tiers, quantity), quantity, "unit_price")]


def _package(price, tiers, quantity):
    packages = Decimal(round_up(Fraction(quantity) / Fraction(price["package_size"])))
    return [_charge(tiers[0], packages, "unit_price", flat_fee=ZERO)]


def _percentage(price, tiers, quantity):
    return [_charge(tiers[0], quantity, "rate_percent")]


MODELS = {
    "per_unit": _per_unit,
    "flat": _flat,
    "graduated": _graduated,
    "volume": _volume,
    "package": _package,
    "percentage": _percentage,
    "graduated_percentage": _graduated_percentage,
}


def volume_tier(tiers: list[dict], quantity: Decimal) -> dict:
    """The tier that the whole quantity lies in; beyond a finite last tier it is the last one."""
    within = [tier for tier in tiers if tier["up_to"] is None or quantity <= tier["up_to"]]
    return (within or tiers[-1:])[0]


def slices(tiers: list[dict], quantity: Decimal) -> list[tuple[dict, Decimal]]:
    """Each tier that the quantity enters, with its slice: lower edge exclusive, `up_to` inclusive.

    The first tier is always entered, even at zero. What lies beyond a finite last tier stays in the last tier.
    """
    entered, lower = [], ZERO
    for tier in tiers:
        if tier is not tiers[0] and quantity <= lower:
            break
        is_last = tier is tiers[-1] or tier["up_to"] is None
        upper = quantity if is_last else min(quantity, tier["up_to"])
        entered.append((tier, upper - lower))
        lower = upper if is_last else tier["up_to"]
    return entered


def _charge(tier: dict, quantity: Decimal, price_column: str | None, flat_fee: Decimal | None = None) -> TierCharge:
    unit_price = tier["unit_price"] if price_column == "unit_price" else None
    fee = (tier["flat_fee"] or ZERO) if flat_fee is None else flat_fee
    worth = ZERO
    if price_column == "unit_price":
        worth = quantity * (tier["unit_price"] or ZERO)
    elif price_column == "rate_percent":
        worth = quantity * (tier["rate_percent"] or ZERO) / 100
    return TierCharge(tier["tier_number"], quantity, unit_price, fee, worth + fee)

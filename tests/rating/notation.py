"""The compact notation of the case tables: numbers, tiers, charges of tiers, events, and worked arithmetic. All exact."""

import ast
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tests.oracle.exact import exact_arithmetic, round_half_away, round_up

NOTHING = "none"  # no event at all; no line
PRECISE_DIGITS = 12

_NUMBER = r"[+-]?(?:\d+(?:_\d{3})*(?:\.\d+)?|10\^-?\d+)"
_TIER = re.compile(
    rf"(?:\.\.\s*(?P<up_to>{_NUMBER})|rest)"
    rf"(?:\s*@\s*(?P<price>{_NUMBER})(?P<percent>\s*%)?)?"
    rf"(?:\s*\+\s*(?P<fee>{_NUMBER}))?"
)
_CHARGE = re.compile(rf"(?P<tier>\d+)\s*:\s*(?P<quantity>{_NUMBER})\s*=\s*(?P<amount>{_NUMBER})")


class NotationError(ValueError):
    """A cell that does not follow the notation; the message quotes it."""


@dataclass(frozen=True)
class Tier:
    """One tier of a price; `up_to` is None for the rest, and what the tier does not say is None."""

    up_to: Decimal | None
    unit_price: Decimal | None
    flat_fee: Decimal | None
    rate_percent: Decimal | None


@dataclass(frozen=True)
class TierAmount:
    """What a tier charges: the quantity (packages, for packages) that falls in it, and its amount."""

    tier_number: int
    quantity: Decimal
    amount: Decimal


def number(text: str) -> Decimal:
    """`12`, `-0.005`, `1_000_000` or `10^-12` as an exact decimal."""
    if not re.fullmatch(_NUMBER, text.strip()):
        raise NotationError(f"not a number: {text!r}")
    plain = text.strip().replace("_", "")
    if "^" in plain:
        return Decimal(f"1E{plain.partition('^')[2]}") * (-1 if plain.startswith("-") else 1)
    return Decimal(plain)


def tiers(text: str) -> tuple[Tier, ...]:
    """Tiers in order: `..10 @ 5; ..20 @ 4 + 10; rest @ 3`, `rest @ 2.9% + 0.30`, `..100 + 30; rest + 50` (fees alone)."""
    parsed = tuple(_tier(part) for part in _parts(text))
    if any(tier.up_to is None for tier in parsed[:-1]):
        raise NotationError(f"`rest` before the last tier: {text!r}")
    edges = [tier.up_to for tier in parsed if tier.up_to is not None]
    if edges != sorted(set(edges)):
        raise NotationError(f"edges do not ascend: {text!r}")
    return parsed


def _tier(text: str) -> Tier:
    match = _TIER.fullmatch(text)
    if not match or (match["price"] is None and match["fee"] is None):
        raise NotationError(f"not a tier: {text!r}")
    price = match["price"] and number(match["price"])
    return Tier(
        up_to=match["up_to"] and number(match["up_to"]),
        unit_price=None if match["percent"] else price,
        flat_fee=match["fee"] and number(match["fee"]),
        rate_percent=price if match["percent"] else None,
    )


def tier_amounts(text: str) -> tuple[TierAmount, ...]:
    """Charges of tiers: `1: 10 = 50; 2: 5 = 30` (tier: quantity in it = its amount)."""
    found = []
    for part in _parts(text):
        match = _CHARGE.fullmatch(part)
        if not match:
            raise NotationError(f"not the charge of a tier: {part!r}")
        found.append(TierAmount(int(match["tier"]), number(match["quantity"]), number(match["amount"])))
    return tuple(found)


def quantities(text: str) -> tuple[Decimal, ...]:
    """The quantities of events: `5`, `3; 4; -2`; `none` for no event at all."""
    return () if text.strip() == NOTHING else tuple(number(part) for part in _parts(text))


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(";")]
    if not all(parts):
        raise NotationError(f"nothing between the semicolons: {text!r}")
    return parts


def worked(text: str) -> Fraction:
    """Written-out arithmetic, exact: + - * / ( ) 10^n, `ceil(…)` (whole packages) and `round12(…)` (a tier's rounding)."""
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
    except SyntaxError:
        raise NotationError(f"not arithmetic: {text!r}") from None
    with exact_arithmetic():
        return _value(tree.body, text.strip().replace("^", "**"))


_OPERATIONS = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.Pow: lambda left, right: left ** int(right),
}
_FUNCTIONS = {
    "ceil": lambda value: Fraction(round_up(value)),
    "round12": lambda value: Fraction(round_half_away(value, PRECISE_DIGITS)),
}


def _value(node: ast.expr, source: str) -> Fraction:
    match node:
        case ast.Constant():
            return Fraction(ast.get_source_segment(source, node))  # the digits as written, never a float
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, source)
        case ast.BinOp() if type(node.op) in _OPERATIONS:
            return _OPERATIONS[type(node.op)](_value(node.left, source), _value(node.right, source))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_value(argument, source))
    raise NotationError(f"not arithmetic: {ast.get_source_segment(source, node)!r} in {source!r}")

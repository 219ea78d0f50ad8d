"""JSON read and written without loss: numbers keep the digits they have in the dump, doubled keys are an error.

The authority on what a valid record is. The vectorised readers take only the lines that are provably simple; every
other line comes here.
"""

import json
import re
from typing import Any


class Number(str):
    """A JSON number as its text in the dump; NaN and the infinities too, to be refused where they stand."""

    __slots__ = ()


class NotExact(ValueError):
    """The text is not one valid JSON value; the message says why in a few words."""


DEEPEST = 100  # objects and arrays inside one another; no event needs more, and deeper ones would exhaust a stack

_encode_text = json.JSONEncoder(ensure_ascii=False).encode


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise NotExact(f"the key {doubled[:80]!r} stands twice")
    return found


_STRUCTURE = re.compile(r'[][{}]|"(?:[^"\\]|\\.)*"')
_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=Number, parse_int=Number, parse_constant=Number)


def parse(text: str) -> Any:
    """The value of a JSON text, numbers as `Number`. Raises NotExact."""
    try:
        value = _decoder.decode(text)
        if text.count("{") + text.count("[") > DEEPEST and _depth(text) > DEEPEST:
            raise NotExact("nested too deeply")
        text.encode()  # a surrogate that the reader let through
        if "\\u" in text:
            dump(value).encode()
        return value
    except NotExact:
        raise
    except json.JSONDecodeError as error:
        raise NotExact(f"not valid JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise NotExact("nested too deeply") from None
    except UnicodeEncodeError:
        raise NotExact("half of a surrogate pair is no character") from None


def _depth(text: str) -> int:
    """How deep a valid JSON text is nested."""
    depth = deepest = 0
    for token in _STRUCTURE.finditer(text):
        if token[0] in "{[":
            depth += 1
            deepest = max(depth, deepest)
        elif token[0] in "}]":
            depth -= 1
    return deepest


def holds_no_number(value: Any) -> bool:
    """True when NaN or an infinity stands anywhere inside the value; JSON has no such numbers."""
    if isinstance(value, Number):
        return value in ("NaN", "Infinity", "-Infinity")
    if isinstance(value, dict):
        return any(holds_no_number(member) for member in value.values())
    return isinstance(value, list) and any(holds_no_number(member) for member in value)


def dump(value: Any) -> str:
    """Compact JSON with sorted keys; a `Number` is written digit for digit."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return _encode_text(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_encode_text(name)}:{dump(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return {None: "null", True: "true", False: "false"}[value]

"""The regular expressions (RE2) that prove a JSON text simple enough for the vectorised path, and take it apart.

Simple: an object without any backslash, whose values are scalars; at the top level `dims` may be an object of
scalars. In such a text every quoted run is one string, so its parts can be cut out as they stand, digits of numbers
included. Keys may hold no blank and no `!`: these sort before the closing quote, all other characters after it, so
that sorting `"key":value` texts sorts by key.
"""

_BLANK = r"[ \t\r\n]*"
_TEXT = r'"[^"\\\x00-\x1f]*"'
_KEY = r'"[^"\\\x00-\x20!]*"'
_SCALAR = rf"(?:{_TEXT}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"


def _object_of(pair: str) -> str:
    return rf"\{{(?:{pair}(?:,{pair})*|{_BLANK})\}}"


_PAIR = rf"{_BLANK}{_KEY}{_BLANK}:{_BLANK}{_SCALAR}{_BLANK}"
FLAT_OBJECT = rf"{_BLANK}{_object_of(_PAIR)}{_BLANK}"

_TOP_PAIR = rf'{_BLANK}(?:{_KEY}{_BLANK}:{_BLANK}{_SCALAR}|"dims"{_BLANK}:{_BLANK}{_object_of(_PAIR)}){_BLANK}'
SIMPLE_RECORD = rf"{_BLANK}{_object_of(_TOP_PAIR)}{_BLANK}"

# The rest is only for texts that match one of the two above.
DIMS = rf'"dims"{_BLANK}:{_BLANK}\{{(?:"[^"]*"|[^"{{}}])*\}}'
BLANKS_OUTSIDE_TEXT = r'("[^"]*")|[ \t\r\n]+'
COMPACT_PAIR = r'"[^"]*":(?:"[^"]*"|[^",{}]+)'


def token_of(name: str) -> str:
    """Matches every `"name": scalar`, at the top level or inside dims; the group is the scalar as it stands."""
    return rf'"{name}"{_BLANK}:{_BLANK}("[^"]*"|[^",{{}} \t\r\n]+)'


def inexact_number_in(names: tuple[str, ...]) -> str:
    """Matches when one of the names holds a number that a 64-bit integer does not hold digit for digit."""
    return rf'"(?:{"|".join(names)})"{_BLANK}:{_BLANK}(?:-?[0-9]*[.eE]|-?[0-9]{{19}}|-0)'


def sql_text(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"

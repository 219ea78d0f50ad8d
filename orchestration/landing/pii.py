"""Personal data never reaches the lake: sensitive fields, and what looks like personal data in free text, become
pseudonyms.

A pseudonym is `pii:<kind>:<first 32 hex digits of HMAC-SHA-256(key, the value's one spelling)>`: the same person has the
same pseudonym everywhere, however the value is written, and nobody without the key can go back or guess it. Free are
`dims` and `extra`, keys and nested values included; the contract's identifiers are not: only an e-mail address is
replaced in them too, and not in attribution keys, which reference tables must match letter by letter.
"""

import csv
import hmac
import io
import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.landing import exact_json

# Names of fields declared sensitive, in lower case without blanks, `_`, `-` and `.`, and the kind of what they hold.
SENSITIVE_FIELDS = {
    "email": "email",
    "emailaddress": "email",
    "useremail": "email",
    "mailaddress": "email",
    "phone": "phone",
    "phonenumber": "phone",
    "mobile": "phone",
    "mobilenumber": "phone",
    "mobilephone": "phone",
    "msisdn": "phone",
    "telephone": "phone",
    "telephonenumber": "phone",
    "ip": "ip",
    "ipaddress": "ip",
    "clientip": "ip",
    "clientipaddress": "ip",
    "remoteaddr": "ip",
    "remoteip": "ip",
    "sourceip": "ip",
    "xforwardedfor": "ip",
    "cardnumber": "card",
    "cardno": "card",
    "creditcard": "card",
    "creditcardnumber": "card",
    "ssn": "ssn",
    "socialsecuritynumber": "ssn",
    "firstname": "name",
    "lastname": "name",
    "givenname": "name",
    "familyname": "name",
    "surname": "name",
    "fullname": "name",
    "username": "name",
}

_SENSITIVE_NAME = "(?:" + "|".join("[ ._-]*".join(name) for name in SENSITIVE_FIELDS) + ")[ ._-]*"


@dataclass(frozen=True)
class Look:
    """What one kind of value looks like: a pattern, and a check of what the pattern found."""

    kind: str
    pattern: str
    check: Callable[[str], bool]


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text != "::"


def _is_card(text: str) -> bool:
    """A number of an issuer of payment cards whose check digit (Luhn) is right; a time stamp starts with 1."""
    digits = [int(digit) for digit in text if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and digits[0] in (2, 3, 4, 5, 6) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_phone(text: str) -> bool:
    count = sum(digit.isdigit() for digit in text)
    if not 10 <= count <= 15:
        return False
    # with dots alone only the American form: anything else may be a version or a number
    return not re.fullmatch(r"[\d.]+", text) or bool(re.fullmatch(r"(1\.)?\d{3}\.\d{3}\.\d{4}", text))


# Runs that hold digits and separators but are no personal data: UUIDs, dates and times.
_HARMLESS = (
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
    r"|(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?(?![0-9-])"
)

LOOKS = (
    Look(
        "ip",
        r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f]{0,4})(?![\w:])",
        _is_ip,
    ),
    Look("ip", r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.[0-9])", _is_ip),
    Look("card", r"(?<![0-9A-Za-z])(?<![0-9]\.)[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z]|\.[0-9])", _is_card),
    Look("phone", r"(?<![0-9])\+ ?\(?[0-9](?:[ ().-]{0,3}[0-9]){9,14}(?![0-9A-Za-z])", _is_phone),
    Look(
        "phone",
        r"(?<![\w+-])(?<![0-9]\.)(?:\([0-9]{1,4}\)[ .-]?|[0-9]{1,4}[ .-])"
        r"(?:\([0-9]{2,4}\)[ .-]?|[0-9]{2,4}[ .-]){1,4}[0-9]{2,4}(?![\w-]|\.[0-9])",
        _is_phone,
    ),
)
_PATTERNS = [(look, re.compile(f"(?P<harmless>{_HARMLESS})|{look.pattern}")) for look in LOOKS]

# What names an event and what it measured; attribution keys are not among them: reference tables must match them.
IDENTIFIERS = ("producer", "event_id", "corrects", "metric", "unit", "sku", "region")

# An e-mail address is looked for from its middle, so that a long run without one costs nothing.
# Half surrogates stand for the bytes of a rejected record that are no UTF-8.
_AT = re.compile(r"@|%40|\\u0040|\uff20")
ADDRESS_SIGN = r"@|%40|\\u0040|\x{ff20}"  # the same in RE2, for whole columns
_EMAIL_LOCAL = re.compile(r"[\w%+\udc80-\udcff][\w.%+'\udc80-\udcff-]{0,63}\Z")
_EMAIL_DOMAIN = re.compile(r"(?:[\w\udc80-\udcff-]{1,63}\.){1,8}[^\W\d_]{2,63}")
_DIGITS = re.compile(r"[0-9]|::")

_DIGITS_SET_APART = re.compile(r"[ ().+-]*[0-9][0-9 ().+-]*")
_NO_DIGIT = re.compile(r"[^0-9]")

# RE2: what a JSON text must hold to be worth a look in Python. Wider than the looks, never narrower.
SUSPECT = "|".join(
    [
        r"@|%40|\\|\x{ff20}",
        r"[0-9]\.[0-9]{1,3}\.[0-9]",
        r"[0-9A-Fa-f:]:[0-9A-Fa-f:]",
        r"[2-6](?:[ -]?[0-9]){12}",
        r"\+ ?\(?[0-9](?:[ ().-]{0,3}[0-9]){9}",
        r"(?:^|[^0-9A-Za-z_+-])\(?[0-9]{1,4}(?:(?:\)[ .-]?|[ .-])\(?[0-9]{2,4}){2}",
        f'(?i:"{_SENSITIVE_NAME}")',
    ]
)

_SEPARATORS = re.compile(r"[ ._-]")
_PSEUDONYM = re.compile(r"pii:[a-z]+:[0-9a-f]{32}")
_ESCAPE = re.compile(r"\\+u([0-9A-Fa-f]{4})")
# The members of a JSON object as bytes may hold them: quotes are doubled in a CSV cell, and escaped as often as the text
# lies inside another one. A value that is no text is a number, or an object or array without others in it. Any may be cut off where the record is.
_TEXT_IN_QUOTES = {
    r'"': r'(?:[^"\\]|\\.)*',
    r'""': r'(?:[^"\\]|\\(?:""|[^"]))*',
    r"\\+\"{1,2}": r".*?(?<!\\)",
}
_SENSITIVE_IN_RAW = [
    re.compile(
        rf"""(?<![\\"])(?P<quote>{quote})(?P<name>{_SENSITIVE_NAME})(?P=quote)\s*:\s*"""
        rf"""(?:(?P=quote)(?P<text>{text})(?:(?P=quote)|\\*\Z)|(?P<bare>-?[0-9][0-9.eE+-]*|\{{[^{{}}]*(?:\}}|\Z)|\[[^\[\]]*(?:\]|\Z)))""",
        re.IGNORECASE | re.DOTALL,
    )
    for quote, text in _TEXT_IN_QUOTES.items()
]


def one_spelling(kind: str, value: str) -> str:
    """What all spellings of a value have in common: no case, no separators of digits, no short form of an address."""
    text = value.strip().lower()
    if kind == "email":
        return _AT.sub("@", text)
    if kind in ("card", "phone") and _DIGITS_SET_APART.fullmatch(text):
        return _NO_DIGIT.sub("", text)
    if kind == "ip" and _is_ip(text):
        address = ipaddress.ip_address(text)
        return str(getattr(address, "ipv4_mapped", None) or address)
    return text


def _plain_name(name: str) -> str:
    return _SEPARATORS.sub("", name.lower())


@dataclass
class Redactor:
    """Replaces personal data with pseudonyms under one key, and counts by kind what it replaced."""

    key: bytes
    detections: Counter[str] = field(default_factory=Counter)

    def pseudonym(self, kind: str, value: str) -> str:
        """The pseudonym of one value; one that is a pseudonym already stays."""
        if _PSEUDONYM.fullmatch(value):
            return value
        self.detections[kind] += 1
        spelled = one_spelling(kind, value).encode("utf-8", "surrogateescape")
        return f"pii:{kind}:{hmac.digest(self.key, spelled, 'sha256').hex()[:32]}"

    def text(self, text: str) -> str:
        """Free text with everything that looks personal replaced; the rest stays as it is."""
        text = self._emails(text, lambda address: self.pseudonym("email", address))
        if _DIGITS.search(text):
            for look, pattern in _PATTERNS:
                text = self._replaced(text, look, pattern)
        return text

    def identifier(self, text: str) -> str:
        """An identifier with the e-mail addresses in it replaced; two that differ, if only by case, stay two."""
        return self._emails(text, self._marked)

    def _marked(self, address: str) -> str:
        shown = self.pseudonym("email", address)
        if address == one_spelling("email", address):
            return shown
        return f"{shown}.{hmac.digest(self.key, address.encode('utf-8', 'surrogateescape'), 'sha256').hex()[:8]}"

    def _emails(self, text: str, replaced: Callable[[str], str]) -> str:
        kept, done = [], 0
        for middle in _AT.finditer(text):
            local = _EMAIL_LOCAL.search(text[max(done, middle.start() - 64) : middle.start()])
            domain = _EMAIL_DOMAIN.match(text, middle.end())
            if local and domain:
                start = middle.start() - len(local.group())
                kept += [text[done:start], replaced(text[start : domain.end()])]
                done = domain.end()
        return "".join(kept) + text[done:] if kept else text

    def _replaced(self, text: str, look: Look, pattern: re.Pattern[str]) -> str:
        kept, done, start = [], 0, 0
        while match := pattern.search(text, start):
            if match["harmless"]:
                start = match.end()
            elif look.check(match.group()):
                kept += [text[done : match.start()], self.pseudonym(look.kind, match.group())]
                done = start = match.end()
            else:
                start = match.start() + 1  # the run may hold the real one further on
        return "".join(kept) + text[done:] if kept else text

    def json(self, text: str) -> str:
        """A JSON object as in `dims` and `extra`, redacted, compact and with sorted keys."""
        return exact_json.dump(self._value(exact_json.parse(text)))

    def _value(self, value: Any) -> Any:
        if isinstance(value, exact_json.Number):
            return self.pseudonym("card", value) if value.isdigit() and _is_card(value) else value
        if isinstance(value, str):
            return self._free_text(value)
        if isinstance(value, dict):
            return {self.text(name): self._member(name, member) for name, member in value.items()}
        return [self._value(member) for member in value] if isinstance(value, list) else value

    def _free_text(self, text: str) -> str:
        """A text that is itself a JSON object or array is looked through as such."""
        if text[:1] in ("{", "["):
            try:
                inner = exact_json.parse(text)
            except exact_json.NotExact:
                return self.text(text)
            before = self.detections.total()
            redacted = exact_json.dump(self._value(inner))
            return redacted if self.detections.total() > before else text
        return self.text(text)

    def _member(self, name: str, member: Any) -> Any:
        kind = SENSITIVE_FIELDS.get(_plain_name(name))
        if kind is None or member is None or member == "":
            return self._value(member)
        return self.pseudonym(kind, member if isinstance(member, str) else exact_json.dump(member))

    def record(self, record: bytes, header: list[str] | None = None) -> bytes:
        """A rejected record's bytes with personal data replaced, every other byte as it was; it need not be valid
        anything.

        `header` names the cells of a CSV record.
        """
        text, before = record.decode("utf-8", "surrogateescape"), Counter(self.detections)
        redacted, plain = self._raw(text, header), _ESCAPE.sub(_letter, text)
        if plain != text:  # with escapes: what hides behind them counts, else they stay as they are
            other = Redactor(self.key)
            unhidden = other._raw(plain, header)
            if set(_PSEUDONYM.findall(unhidden)) != set(_PSEUDONYM.findall(redacted)):
                self.detections, redacted = before + other.detections, unhidden
        return redacted.encode("utf-8", "surrogateescape")

    def _raw(self, text: str, header: list[str] | None) -> str:
        if header and _is_sensitive(header):
            text = self._cells(text, header)
        for member in _SENSITIVE_IN_RAW:
            text = member.sub(self._raw_member, text)
        return self.text(text)

    def _cells(self, text: str, header: list[str]) -> str:
        """The CSV record with its sensitive cells replaced; with a cell too many or too few, counted from both ends."""
        cells = _raw_cells(text)
        for place, name in enumerate(header):
            kind = SENSITIVE_FIELDS.get(_plain_name(name))
            for cell in {place, place + len(cells) - len(header)} if kind else ():
                if 0 <= cell < len(cells) and (value := cells[cell].strip('"').replace('""', '"')):
                    cells[cell] = self.pseudonym(kind, value)
        return ",".join(cells)

    def _raw_member(self, match: re.Match[str]) -> str:
        kind = SENSITIVE_FIELDS.get(_plain_name(match["name"]))
        part = "text" if match["bare"] is None else "bare"
        value = match[part]
        if kind is None or not value:
            return match.group()
        start = match.start(part) - match.start()
        head, tail = match.group()[:start], match.group()[start + len(value) :]
        if part == "bare":
            return f"{head}{match['quote']}{self.pseudonym(kind, _compact(value))}{match['quote']}{tail}"
        return f"{head}{self.pseudonym(kind, _unescaped(value))}{tail}"


def _letter(escape: re.Match[str]) -> str:
    """The letter that an escape in raw JSON stands for; what would change the JSON around it stays escaped."""
    letter = chr(int(escape[1], 16))
    return letter if letter.isprintable() and letter not in '"\\' else escape[0]


def _raw_cells(text: str) -> list[str]:
    """The cells of a CSV record as they stand, quotes included; cut at every comma when it is no valid CSV."""
    try:
        cells = next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except csv.Error:
        return text.split(",")
    raw, place = [], 0
    for cell in cells:
        quoted = '"' + cell.replace('"', '""') + '"'
        raw.append(quoted if text.startswith(quoted, place) else cell)
        place += len(raw[-1]) + 1
    return raw if ",".join(raw) == text else text.split(",")


def _compact(value: str) -> str:
    """An object, array or number as it would be written in an accepted record."""
    try:
        return exact_json.dump(exact_json.parse(value))
    except exact_json.NotExact:
        return value


def _unescaped(value: str) -> str:
    """The value of a raw JSON string, so that it gets the same pseudonym as in an accepted record."""
    try:
        parsed = exact_json.parse(f'"{value}"') if "\\" in value else value
    except exact_json.NotExact:
        return value
    return parsed


# A whole cell or JSON text that is a time: taken out before the cheap look, which its digits would alarm.
_TIME_CELL = (
    r'([",])[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})([",])'
)


def _suspects(column: pa.Array) -> pa.Array:
    """Which texts may hold something personal; a null does not."""
    without_times = pc.replace_substring_regex(column, _TIME_CELL, r"\1\2")
    return pc.fill_null(pc.match_substring_regex(without_times, SUSPECT), False)


def redact_texts(redact: Callable[[str], str], column: pa.Array) -> pa.Array:
    """A column with `redact` (`Redactor.json` or `.text`) applied; only suspect texts go through Python."""
    suspects = _suspects(column)
    if not pc.any(suspects).as_py():
        return column
    redacted = [redact(text) for text in column.filter(suspects).to_pylist()]
    return pc.replace_with_mask(column, suspects, pa.array(redacted, column.type))


def redact_identifiers(redactor: Redactor, column: pa.Array) -> pa.Array:
    """A column of identifiers with the e-mail addresses in them replaced."""
    suspects = pc.fill_null(pc.match_substring_regex(column, ADDRESS_SIGN), False)
    if not pc.any(suspects).as_py():
        return column
    redacted = [redactor.identifier(text) for text in column.filter(suspects).to_pylist()]
    return pc.replace_with_mask(column, suspects, pa.array(redacted, column.type))


def redact_records(redactor: Redactor, records: list[bytes], header: list[str] | None) -> list[bytes]:
    """Rejected records with personal data masked; `header` names the cells of CSV records."""
    try:
        doubtful = _suspects(pa.array(records, pa.binary()).cast(pa.string())).to_pylist()
    except pa.ArrowInvalid:  # bytes that are no text
        doubtful = [True] * len(records)
    if header and _is_sensitive(header):
        doubtful = [True] * len(records)
    return [
        redactor.record(record, header) if doubt else record for record, doubt in zip(records, doubtful, strict=True)
    ]


def _is_sensitive(header: list[str]) -> bool:
    return any(_plain_name(name) in SENSITIVE_FIELDS for name in header)

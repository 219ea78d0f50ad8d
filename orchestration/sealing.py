"""How the house writes JSON that must not change: one form of bytes, with a hash of itself inside."""

import hashlib
import json

SEAL = "self_sha256"


def json_bytes(value: object) -> bytes:
    """The one form in which the house writes JSON."""
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


def seal(body: dict) -> bytes:
    """The bytes of a sealed document: its fields and their own hash."""
    return json_bytes({**body, SEAL: hashlib.sha256(json_bytes(body)).hexdigest()})


def is_sealed(raw: bytes, document: dict) -> bool:
    """Whether these bytes are the document as it was sealed; a changed byte anywhere shows."""
    return raw == seal(without(document, SEAL))


def without(document: dict, *fields: str) -> dict:
    """The document less some fields."""
    return {field: value for field, value in document.items() if field not in fields}

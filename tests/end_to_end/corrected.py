"""Corrections of a random history's records: retractions and replacements, good, doubled, contested, chained and broken."""

import random
from collections.abc import Callable

BROKEN = (
    {"correction": None},
    {"corrects": None},
    {"correction": "amend"},
    {"corrects": "never-sent"},
    {"producer": "somebody-else"},
)


def make_corrections(
    dice: random.Random, records: list[dict], make_event: Callable[[int], dict], contested: bool
) -> list[dict]:
    """Corrections of a part of the records. `contested`: some targets have several (then what lands last matters)."""
    made: list[dict] = []
    targets = dice.sample(records, len(records) // 8)
    targets += [dice.choice(targets) for _ in targets[:: 4 if contested else len(targets) + 1]]
    for number, target in enumerate(targets):
        if "producer" not in target or not target.get("event_id"):
            continue
        correction = _correction(dice, target, make_event(400_000 + number))
        made.append(correction)
        if dice.random() < 0.1:
            made.append(dict(correction))
        if dice.random() < 0.15:  # a correction of the correction, held where that one only retracts
            made.append(_correction(dice, correction, make_event(500_000 + number)))
    broken = [
        _correction(dice, dice.choice(records), make_event(600_000 + number)) for number in range(len(BROKEN) + 1)
    ]
    made += [_without_nothing(row | flaw) for row, flaw in zip(broken, BROKEN, strict=False)]
    return [*made, broken[-1] | {"corrects": broken[-1]["event_id"]}]


def _correction(dice: random.Random, target: dict, event: dict) -> dict:
    """A replacement is mostly like its target, with another quantity; now and then it is another event altogether."""
    named = {"producer": target.get("producer", "gateway"), "corrects": target.get("event_id", "gone")}
    if dice.random() < 0.5:
        return event | named | {"correction": "retract"}
    kept = {} if dice.random() < 0.3 else {name: value for name, value in target.items() if name != "correction"}
    own = {"event_id": event["event_id"], "quantity": event["quantity"].lstrip("-")}
    return (kept or event) | own | named | {"correction": "replace"}


def _without_nothing(record: dict) -> dict:
    return {name: value for name, value in record.items() if value is not None}

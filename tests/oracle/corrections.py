"""Corrections: records that name an earlier or later record of their producer and take its usage back.

A `retract` brings no usage of its own, a `replace` does. One that cannot take effect is held, with its reason. What one
took away stays away, whatever becomes of the correction itself.
"""

from collections.abc import Callable

from tests.oracle.validation import Event

RETRACT, REPLACE = "retract", "replace"


class Corrections:
    """What the corrections among all counted records (in landed order) do, as far as these are known.

    `held_as_usage` says why a record that is usage of its own is held, or None: a replace must pass it, too.
    """

    def __init__(self, records: list[Event], held_as_usage: Callable[[Event], str | None]):
        self._held_as_usage = held_as_usage
        self._corrected = any(is_correction(record) for record in records)
        self._records = {record.identity: record for record in records} if self._corrected else {}
        self._taken_back: set[tuple[str, str]] = set()
        in_effect: dict[tuple[str, str], Event] = {}
        for record in records:
            if is_correction(record) and self.held_reason(record) is None:
                earlier = in_effect.get(named(record))
                in_effect[named(record)] = record
                self._taken_back.add(named(record))
                if earlier:  # superseded for good by the one that landed last
                    self._taken_back.add(earlier.identity)

    def held_reason(self, record: Event) -> str | None:
        """Why the record is held: as a correction first, then, unless it only retracts, as usage."""
        reason = self._held_as_correction(record) if is_correction(record) else None
        return reason or (None if record.correction == RETRACT else self._held_as_usage(record))

    def _held_as_correction(self, record: Event) -> str | None:
        if record.corrects is None or record.correction not in (RETRACT, REPLACE):
            return "incomplete_correction"
        target = self._records.get(named(record))
        if target is None or target is record:
            return "unknown_target"
        return "corrects_a_retraction" if target.correction == RETRACT else None

    def outcome_of(self, record: Event) -> Event:
        """The record whose fate (held, unattributed, attributed) it shares: its target's if it retracts, else its own."""
        retracts = record.correction == RETRACT and self.held_reason(record) is None
        return self._records[named(record)] if retracts else record

    def stands(self, record: Event) -> bool:
        """Whether the record's own usage counts."""
        return self.outcome_of(record) is record and record.identity not in self._taken_back


def is_correction(record: Event) -> bool:
    """Whether the record says that it corrects another, completely or not."""
    return record.corrects is not None or record.correction is not None


def named(record: Event) -> tuple[str, str]:
    """The identity of the record that a correction names."""
    return record.producer, record.corrects

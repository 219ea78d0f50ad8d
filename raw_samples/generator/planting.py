"""The planter picks events for plants, each at most once, and keeps the list of what was planted."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from raw_samples.generator.company import LANDINGS
from raw_samples.generator.model import Dump, Event, Plant


def landing_of(ingested_ts: int) -> int:
    """The batch that brings what was collected at that time."""
    return next(landing.batch_id for landing in LANDINGS if ingested_ts < landing.until)


class Planter:
    """Picks events for plants (each at most once) and keeps the list of plants."""

    def __init__(self, events: dict[str, list[Event]], seed: int) -> None:
        self.events = events
        self.plants: list[Plant] = []
        self._rng = np.random.Generator(np.random.PCG64([seed, 100]))
        self._used: set[str] = set()

    def pick(self, producer: str, count: int, wanted: Callable[[Event], bool]) -> list[Event]:
        """That many untouched events of a producer, spread at random, in order of time."""
        pool = [e for e in self.events[producer] if e.event_id not in self._used and wanted(e)]
        chosen = sorted(self._rng.choice(len(pool), count, replace=False).tolist())
        picked = [pool[index] for index in chosen]
        self._used |= {event.event_id for event in picked}
        return picked

    def spare(self, events: list[Event]) -> None:
        """Keeps events out of later plants."""
        self._used |= {event.event_id for event in events}

    def is_used(self, event: Event) -> bool:
        return event.event_id in self._used

    def note(self, name: str, where: str, rule: str, figure: str, ids: list[str]) -> None:
        self.plants.append(Plant(name, where, rule, figure, ids))


def per_batch(events: list[Event]) -> str:
    """`n in batch 1, m in batch 3` for a list of events."""
    counts = Counter(landing_of(event.ingested_ts) for event in events)
    return ", ".join(f"{counts[batch]} in batch {batch}" for batch in sorted(counts))


def ids_of(events: list[Event]) -> list[str]:
    return [event.event_id for event in events]


def by_stem(dumps: dict[str, Dump], stem: str) -> Dump:
    """The dump whose file name starts with the stem."""
    found = [d for d in dumps.values() if d.path.rsplit("/", 1)[1].split(".")[0] == stem]
    if len(found) != 1:
        raise ValueError(f"{len(found)} dumps named {stem}")
    return found[0]

"""What holds for every history, whatever lands in which order: nothing is lost, final is final, and there is one right figure.

broken = broken_promises(history, folder)     # sentences; none = all hold
"""

import random
import shutil
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from orchestration import closing, gates, landing, warehouse
from orchestration.settings import Settings
from tests.end_to_end.histories import Options, RandomHistory, make_history
from tests.end_to_end.house import fingerprints, last_build, run, state
from tests.end_to_end.test_histories import without_batches
from tests.oracle import Landing, compare, compute

# What gives a history figures that depend on what landed first.
DEPEND_ON_ORDER = ("conflicts", "reference_changes", "corrections")
FINAL = {
    "invoice lines": "from billing.invoice_lines where status = 'final' order by all",
    "usage": "from usage.usage_monthly where period_status = 'final' order by all",
}


def random_history(dice: random.Random, events: int) -> RandomHistory:
    """Duplicates, conflicts, late arrivals, changed mappings, corrections, closes, split at random; of any size."""
    kinds = ("conflicts", "closable", "reference_changes", "corrections", "aggregations")
    flags = {name: dice.random() < 0.5 for name in kinds}
    options = Options(events=dice.randint(20, events), landings=dice.randint(1, 4), **flags)
    return make_history(dice.randrange(2**32), options)


def broken_promises(history: RandomHistory, root: Path) -> list[str]:
    """Lives through a history in a home of its own under `root`; what did not hold, in words."""
    landings = history.write(root / "dumps")
    settings = Settings(root / "home", "1GB", 2)
    broken = _live(settings, history, landings)
    incremental = state(settings)
    with warehouse.read(settings) as connection:
        truth = compute(landings, history.closes, as_of=last_build(landings))
        broken += [f"not what the oracle says: {one}" for one in compare(truth, connection)]
    warehouse.build(settings, last_build(landings), full_refresh=True, test=False)
    rebuilt = state(settings)
    broken += [f"{mart}: a full rebuild differs" for mart in incremental if incremental[mart] != rebuilt[mart]]
    if not (history.closes or any(getattr(history.options, kind) for kind in DEPEND_ON_ORDER)):
        broken += _in_another_order(history, root, rebuilt)
    return broken


def _live(settings: Settings, history: RandomHistory, landings: list[Landing]) -> list[str]:
    """Land and build one by one, close as planned, and look after each step whether a promise was broken."""
    broken, sealed, final = [], {}, {}
    for number, place in enumerate(landings, start=1):
        landing.land(settings, [Path(place.paths)], place.landed_at)
        warehouse.build(settings, place.landed_at, test=False)
        broken += _lost(settings) + _moved(settings, sealed, final)
        for close in history.closes:
            if close.after_landing == number:
                at = place.landed_at + timedelta(hours=1)
                gates.run_gates(settings, close.billing_period, at)
                closing.finalize(settings, close.billing_period, at)
        sealed, final = fingerprints(settings.finalized), _final(settings)
    warehouse.build(settings, last_build(landings), test=False)
    return broken + _lost(settings) + _moved(settings, sealed, final)


def _lost(settings: Settings) -> list[str]:
    """Batches in which a record went nowhere, or twice somewhere; and records that no batch tells of."""
    with warehouse.read(settings) as connection:
        unequal = connection.execute(
            "select batch_id, difference from operations.event_conservation where difference <> 0"
        ).fetchall()
        [counted] = connection.execute("select coalesce(sum(records), 0) from operations.event_conservation").fetchone()
    landed = sum(file["records"] for manifest in landing.manifests(settings) for file in manifest["files"])
    told = [f"batch {batch}: {difference} records lost" for batch, difference in unequal]
    return told + ([] if counted == landed else [f"{landed} records landed, {counted} are accounted for"])


def _final(settings: Settings) -> dict[str, list[tuple]]:
    with warehouse.read(settings) as connection:
        return {what: connection.execute(query).fetchall() for what, query in FINAL.items()}


def _moved(settings: Settings, sealed: dict[str, str], final: dict[str, list[tuple]]) -> list[str]:
    """What was final and is not what it was; rows of a period closed since then are new ones."""
    now = fingerprints(settings.finalized)
    moved = [f"finalized/{name} changed" for name in sealed if now.get(name) != sealed[name]]
    rows = _final(settings)
    return moved + [f"final {what} changed" for what in final if set(final[what]) - set(rows[what])]


def _in_another_order(history: RandomHistory, root: Path, figures: dict[str, list[tuple]]) -> list[str]:
    """The same dumps, spread over other landings."""
    other = Settings(root / "shuffled", "1GB", 2)
    run(other, history.shuffled(history.seed).write(root / "shuffled-dumps"), build_each=False)
    expected, found = without_batches(figures), without_batches(state(other))
    return [f"{mart}: another order of dumps gives other figures" for mart in expected if expected[mart] != found[mart]]


@dataclass
class Tried:
    """What random histories were tried. A loss is a broken promise."""

    histories: int = 0
    landings: int = 0
    records: int = 0
    rejects: int = 0
    closes: int = 0
    losses: list[str] = field(default_factory=list)


def soak(seconds: float, seed: int, root: Path) -> Tried:
    """Random histories for so long; at least one."""
    dice, tried, deadline = random.Random(seed), Tried(), time.monotonic() + seconds
    while not tried.histories or time.monotonic() < deadline:
        history = random_history(dice, events=int(150 + seconds))
        broken = broken_promises(history, root / "history")
        manifests = landing.manifests(Settings(root / "history" / "home", "1GB", 2))
        files = [file for manifest in manifests for file in manifest["files"]]
        tried.histories += 1
        tried.landings += len(history.landings)
        tried.records += sum(file["records"] for file in files)
        tried.rejects += sum(file["rejected"] for file in files)
        tried.closes += len(history.closes)
        tried.losses += [f"seed {history.seed}, {history.options}: {promise}" for promise in broken]
        shutil.rmtree(root / "history")
    return tried

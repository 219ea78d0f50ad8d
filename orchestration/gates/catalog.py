"""Which gates there are: the suites of expectations/ in the order in which they run and are shown."""

from collections.abc import Callable
from typing import Any

from expectations import billing, reconciliation, usage
from expectations.gate import Gate

SUITES: dict[str, tuple[tuple[Gate, ...], Callable[[], Any]]] = {
    "usage": (usage.GATES, usage.suite),
    "billing": (billing.GATES, billing.suite),
    "reconciliation": (reconciliation.GATES, reconciliation.suite),
}

GATE_NAMES: tuple[str, ...] = tuple(gate.name for gates, _ in SUITES.values() for gate in gates)
GATES_BY_DAY: tuple[str, ...] = tuple(gate.name for gates, _ in SUITES.values() for gate in gates if gate.by_day)

"""The gates of a close: run the suites of expectations/, store what came out, and answer "may this period close?".

The door: `run_gates` measures and stores (`gates_aside` has it done in a process that makes itself ready meanwhile),
`may_close` re-reads what is stored and decides. Nothing but these, their results, and the names of all gates is for
other rooms.
"""

from orchestration.gates.aside import RunGates, gates_aside
from orchestration.gates.catalog import GATE_NAMES
from orchestration.gates.deciding import Decision, may_close
from orchestration.gates.running import GateRun, run_gates
from orchestration.gates.storing import link_runs

__all__ = ["GATE_NAMES", "Decision", "GateRun", "RunGates", "gates_aside", "link_runs", "may_close", "run_gates"]

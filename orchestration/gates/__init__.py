"""The gates of a close: run the suites of expectations/, store what came out, and answer "may this period close?".

The door: `run_gates` measures and stores, `may_close` re-reads what is stored and decides. Nothing but these two, their
results, and the names of all gates is for other rooms.
"""

from orchestration.gates.catalog import GATE_NAMES
from orchestration.gates.deciding import Decision, may_close
from orchestration.gates.running import GateRun, run_gates
from orchestration.gates.storing import link_runs

__all__ = ["GATE_NAMES", "Decision", "GateRun", "link_runs", "may_close", "run_gates"]

"""The stages of a run, each in a process forked from one that has loaded everything: to end, to be killed, or short of room.

    with Stages() as stages:
        ended = stages.run("publish", home, as_of)                       # Ended(status, changes, error)
        stages.run("publish", home, as_of, kill=Kill(change=7))          # status -9

Loading the house takes longer than most stages: this way a trial costs little more than its stage.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.faults.command import KEY
from tests.faults.crashes.kills import Kill, Watch

PERIOD = "2026-09"
PROGRAM = "from tests.faults.crashes.stages import serve; serve()"


@dataclass(frozen=True)
class Ended:
    """How a stage ended: exit code, or minus the signal; the changes it made to the home; the line that says why it failed."""

    status: int
    changes: int
    nodes: int
    error: str


class Stages:
    """The process that forks. A context manager."""

    def __enter__(self) -> "Stages":
        environment = os.environ | {"USAGE_PII_KEY": KEY, "USAGE_MEMORY_LIMIT": "1GB"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
        self._server = subprocess.Popen([sys.executable, "-c", PROGRAM], **pipes)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stdin.close()
        self._server.wait()

    def run(self, stage: str, home: Path, as_of: str, **how: Any) -> Ended:
        """Runs a stage. `kill`: when; `limit`: how far a file may grow; `key=False`: no key from outside."""
        return self.end(self.start(stage, home, as_of, **how))

    def start(self, stage: str, home: Path, as_of: str, **how: Any) -> int:
        """The process id of a stage that has begun."""
        if kill := how.pop("kill", None):
            how["kill"] = asdict(kill)
        return self._ask({"stage": stage, "home": str(home), "as_of": as_of, **how})

    def end(self, process: int) -> Ended:
        """Waits for its end."""
        return Ended(**self._ask({"wait": process}))

    def _ask(self, request: dict[str, Any]) -> Any:
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())


def serve() -> None:
    """Answers requests on standard input. Whatever it makes, it makes under a umask that lets everybody write."""
    os.umask(0)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    _load()
    reports: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer: Any = _ended(request["wait"], reports.pop(request["wait"]))
        else:
            answer, report = _fork(request)
            reports[answer] = report
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _load() -> None:
    """All modules, and the dbt project parsed; nothing that runs threads of its own."""
    from tempfile import TemporaryDirectory

    import great_expectations  # noqa: F401

    import orchestration.cli  # noqa: F401
    from orchestration import closing, gates, landing, publishing, warehouse  # noqa: F401
    from orchestration.settings import load_settings

    with TemporaryDirectory() as folder:
        warehouse.manifest_path(load_settings(Path(folder) / "parse"))


def _fork(request: dict[str, Any]) -> tuple[int, int]:
    """The stage's process, and the end of the pipe at which it reports."""
    report, other = os.pipe()
    process = os.fork()
    if process:
        os.close(other)
        return process, report
    os.setsid()
    os.set_inheritable(other, False)
    status, told = 1, {}
    try:
        status, told = _run(request)
    finally:
        os.write(other, json.dumps(told).encode())
        os._exit(status)


def _ended(process: int, report: int) -> dict[str, Any]:
    with os.fdopen(report, "rb") as pipe:
        told = json.loads(pipe.read() or b"{}")
    _, status = os.waitpid(process, 0)
    return {"changes": 0, "nodes": 0, "error": ""} | told | {"status": os.waitstatus_to_exitcode(status)}


def _run(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    from orchestration.errors import in_one_line
    from orchestration.locking import writing
    from orchestration.settings import load_settings, parse_instant

    if request.get("key") is False:
        del os.environ["USAGE_PII_KEY"]
    if limit := request.get("limit"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    settings, error = load_settings(request["home"]), ""
    watch = Watch(settings.home, Kill(**request.get("kill", {})), leave_out=(".dbt",))
    watch.begin()
    try:
        with writing(settings, request["stage"]):
            STAGES[request["stage"]](settings, parse_instant(request["as_of"]), watch)
    except Exception as failure:
        error = in_one_line(failure)
    return int(bool(error)), {"changes": watch.changes, "nodes": watch.nodes, "error": error}


def _land(settings: Any, as_of: datetime, watch: Watch) -> None:
    from orchestration import landing

    landing.land(settings, None, as_of)


def _build(settings: Any, as_of: datetime, watch: Watch) -> None:
    from orchestration import warehouse

    warehouse.build(settings, as_of, test=False, on_progress=watch.node_finished)


def _gates(settings: Any, as_of: datetime, watch: Watch) -> None:
    from orchestration import gates

    gates.run_gates(settings, PERIOD, as_of)


def _close(settings: Any, as_of: datetime, watch: Watch) -> None:
    from orchestration import closing

    closing.finalize(settings, PERIOD, as_of)


def _publish(settings: Any, as_of: datetime, watch: Watch) -> None:
    from orchestration import publishing

    publishing.publish(settings)


# In the order of a month's end.
STAGES: dict[str, Callable[[Any, datetime, Watch], None]] = {
    "land": _land,
    "build": _build,
    "gates": _gates,
    "publish": _publish,
    "close": _close,
}

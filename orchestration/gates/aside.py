"""Gates in a process of their own, which imports Great Expectations (some seconds) while the run that waits for them lands and builds."""

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from orchestration import child
from orchestration.errors import UsageWarehouseError, in_one_line
from orchestration.gates.running import GateRun, run_gates
from orchestration.settings import Settings

PROGRAM = "from orchestration.gates.aside import main; main()"

RunGates = Callable[[Settings, str, datetime | None, bool], GateRun]


@contextmanager
def gates_aside() -> Iterator[RunGates]:
    """`run_gates` in a process that makes itself ready from now on and ends with this context.

    What fails there is raised here. Raises UsageWarehouseError as well when the process itself died.
    """
    with child.start(PROGRAM, stderr=None) as process:

        def run(settings: Settings, billing_period: str, as_of: datetime | None = None, whole: bool = True) -> GateRun:
            try:
                os.write(process.stdin.fileno(), pickle.dumps((settings, billing_period, as_of, whole)))
                answer = pickle.load(process.stdout)
            except (BrokenPipeError, EOFError) as error:
                raise UsageWarehouseError(
                    f"the process that runs the gates ended with code {process.wait()}"
                ) from error
            if isinstance(answer, UsageWarehouseError):
                raise answer
            return answer

        try:
            yield run
        finally:
            process.kill()  # whatever it was asked is done; it may still be importing


def main() -> None:
    """The process itself: answers requests on standard input until it ends."""
    with os.fdopen((pipes := child.take_pipes())[0], "rb") as requests, os.fdopen(pipes[1], "wb") as answers:
        child.die_with_parent()
        import great_expectations  # noqa: F401

        while True:
            try:
                request = pickle.load(requests)
            except EOFError:
                return
            pickle.dump(_answer(*request), answers)
            answers.flush()


def _answer(
    settings: Settings, billing_period: str, as_of: datetime | None, whole: bool
) -> GateRun | UsageWarehouseError:
    try:
        return run_gates(settings, billing_period, as_of, whole)
    except UsageWarehouseError as error:
        return error
    except Exception as error:  # not all of them could be sent; the words are what the operator reads
        return UsageWarehouseError(in_one_line(error))

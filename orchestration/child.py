"""Processes of our own that serve a run: started with the run's own modules, and never there longer than it."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress

# The process in which landing reads foreign files (landing/parsing.py).
PARSER = "from orchestration.landing.worker import main; main()"

_PR_SET_PDEATHSIG = 1
_PIPE_BYTES = 1 << 20  # answers are some megabytes: a large pipe means fewer turns between the two

_ahead: dict[str, subprocess.Popen[bytes]] = {}


def start_ahead(program: str) -> None:
    """Let a process make itself ready while this one does the same: the next `start` of that program takes it. One that nobody takes ends with this one."""
    _ahead[program] = start(program)


def start(program: str, stderr: int | None = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """A Python process that runs `program`, with pipes on its standard input and output; it is to call `take_pipes` and `die_with_parent` first."""
    if program in _ahead:
        return _ahead.pop(program)
    # the same modules as here, wherever it runs, and none of the folder that it happens to run in
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", program, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        pipesize=_PIPE_BYTES,
    )


def take_pipes() -> tuple[int, int]:
    """In the child: the ends of the pipes to its parent, requests and answers, out of the reach of whatever prints."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, answers


def die_with_parent() -> None:
    """In the child: end when the parent does, even when it is killed, and whatever is being done. Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold what pseudonyms are to hide
    with suppress(OSError, AttributeError):  # where there is no such call, the end of the pipe ends the process
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)

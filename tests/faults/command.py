"""The `usage` command in a process of its own, as an operator or a scheduler starts it: to end, to be killed, or short of something."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

USAGE = [sys.executable, "-c", "from orchestration.cli import main; main()"]
KEY = "a key for tests"
PATIENCE = 600  # seconds; far more than any command of a small home takes
GLANCE = 0.005

# linux/prctl.h, linux/capability.h
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@dataclass(frozen=True)
class Command:
    """One command on a home, with the time that stands for now, so that it can be repeated."""

    name: str
    arguments: tuple[str, ...]

    def start(self, home: Path, **options: object) -> subprocess.Popen[str]:
        """Starts it in a process group of its own."""
        environment = os.environ | {"USAGE_PII_KEY": KEY, "USAGE_MEMORY_LIMIT": "1GB"} | options.pop("env", {})
        return subprocess.Popen(
            [*USAGE, *self.arguments, "--home", str(home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment,
            **options,
        )

    def run(self, home: Path, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        process = self.start(home, **options)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def kill_when(process: subprocess.Popen[str], due: Callable[[], bool]) -> bool:
    """Kills the process and all its children as soon as it is due; False if it ended before."""
    while process.poll() is None and not due():
        time.sleep(GLANCE)
    is_killed = process.poll() is None
    if is_killed:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return is_killed


def file_size_limit(size: int) -> Callable[[], None]:
    """For preexec_fn: no file may grow beyond this, as on a disk that fills up."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def without_privileges() -> None:
    """For preexec_fn: let the permission bits bind root as they bind everybody else. Nothing to do for other users."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "cannot drop a capability")

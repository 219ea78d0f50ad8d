"""The few failures that users meet, each with the exit code that the command line gives it; and what the machine refuses, in one line."""

import errno


class UsageWarehouseError(Exception):
    """Something failed; the message is one line that says what, where, and what to do. Exit code 1."""

    exit_code = 1


class GateBlocked(UsageWarehouseError):
    """A gate, an open earlier period or the lateness window stands in the way of a close. Exit code 3."""

    exit_code = 3


class VerificationFailed(UsageWarehouseError):
    """A receipt no longer matches what lies on disk or what the lake recomputes to. Exit code 4."""

    exit_code = 4


# What the machine refuses: (error number, words of the libraries that tell it by text alone) → what to do about it.
REFUSALS = {
    errno.ENOSPC: ("No space left on device", "the disk is full: make room and run again"),
    errno.EDQUOT: ("Disk quota exceeded", "the disk quota is used up: make room and run again"),
    errno.EFBIG: ("File too large", "a file may not grow beyond the limit of this process: raise it and run again"),
    errno.EROFS: ("Read-only file system", "the file system is read-only"),
    errno.EACCES: ("Permission denied", "no permission: run as the owner of the home, or give access to it"),
    errno.EPERM: ("Operation not permitted", "no permission: run as the owner of the home, or give access to it"),
}


def in_one_line(error: BaseException) -> str:
    """A failure as the operator reads it: what the machine refused and where, else the error's own words."""
    words = " ".join(str(error).split())
    number = error.errno if isinstance(error, OSError) else None
    for refused, (text, advice) in REFUSALS.items():
        if number == refused or text in words:
            place = f"{error.filename}: " if number and error.filename else f"{words}: " if not number else ""
            return f"{place}{advice}"
    return words if isinstance(error, UsageWarehouseError) else f"{type(error).__name__}: {words}"

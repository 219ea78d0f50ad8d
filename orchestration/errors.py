"""The few failures that users meet, each with the exit code that the command line gives it."""


class UsageWarehouseError(Exception):
    """Something failed; the message is one line that says what, where, and what to do. Exit code 1."""

    exit_code = 1


class GateBlocked(UsageWarehouseError):
    """A gate, an open earlier period or the lateness window stands in the way of a close. Exit code 3."""

    exit_code = 3


class VerificationFailed(UsageWarehouseError):
    """A receipt no longer matches what lies on disk or what the lake recomputes to. Exit code 4."""

    exit_code = 4

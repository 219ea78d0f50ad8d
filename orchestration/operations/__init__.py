"""Operations: the runs that chain the rooms (nightly, month-end), what state the house is in, where a figure comes from, and how
two homes differ."""

from orchestration.operations.comparing import Comparison, compare
from orchestration.operations.explaining import explain
from orchestration.operations.runs import MonthEnd, Nightly, land_inbox, month_end, nightly
from orchestration.operations.state import status

__all__ = [
    "Comparison",
    "MonthEnd",
    "Nightly",
    "compare",
    "explain",
    "land_inbox",
    "month_end",
    "nightly",
    "status",
]

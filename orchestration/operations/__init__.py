"""Operations: the runs that chain the rooms (nightly, month-end), what state the house is in, and where a figure comes from."""

from orchestration.operations.explaining import explain
from orchestration.operations.runs import MonthEnd, Nightly, land_inbox, month_end, nightly
from orchestration.operations.state import status

__all__ = ["MonthEnd", "Nightly", "explain", "land_inbox", "month_end", "nightly", "status"]

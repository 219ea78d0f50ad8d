"""Operations: the runs that chain the rooms (nightly, month-end), what state the house is in, where a figure comes from, and what it would be
by other prices (shadow rating) or other logic (comparing two homes)."""

from orchestration.operations.comparing import Comparison, compare
from orchestration.operations.explaining import explain
from orchestration.operations.runs import MonthEnd, Nightly, land_inbox, month_end, nightly
from orchestration.operations.shadowing import ShadowRating, shadow_rate
from orchestration.operations.state import status

__all__ = [
    "Comparison",
    "MonthEnd",
    "Nightly",
    "ShadowRating",
    "compare",
    "explain",
    "land_inbox",
    "month_end",
    "nightly",
    "shadow_rate",
    "status",
]

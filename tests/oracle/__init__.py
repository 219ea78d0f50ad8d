"""The independent oracle: plain Python that computes every figure from the dumps, by the written rules alone.

It shares no code with the warehouse, so a figure on which both agree was reached twice. Clarity before speed.

    result = compute([Landing("arrived=2026-10-01", landed_at), …], closes=[Close("2026-09", after_landing=2)])
    assert compare(result, duckdb_connection) == []
"""

from tests.oracle.allocation import AllocationKey
from tests.oracle.closing import Close, LedgerKey
from tests.oracle.compare import compare
from tests.oracle.counting import DayKey, History, HourKey, Landing, MonthKey, State, UnattributedKey
from tests.oracle.credits import Balance, BalanceKey
from tests.oracle.invoicing import UnpricedKey, rate_period
from tests.oracle.lines import Line, LineKey
from tests.oracle.result import Result, compute
from tests.oracle.samples import differences_to_expected, sample_landings

__all__ = [
    "AllocationKey",
    "Balance",
    "BalanceKey",
    "Close",
    "DayKey",
    "History",
    "HourKey",
    "Landing",
    "LedgerKey",
    "Line",
    "LineKey",
    "MonthKey",
    "Result",
    "State",
    "UnattributedKey",
    "UnpricedKey",
    "compare",
    "compute",
    "differences_to_expected",
    "rate_period",
    "sample_landings",
]

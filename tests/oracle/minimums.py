"""Minimum commitments: what is missing to the minimum on all that an account and its descendants are billed."""

from decimal import Decimal

from tests.oracle.hierarchy import Hierarchy
from tests.oracle.lines import WHOLE_ACCOUNT, Line, charged
from tests.oracle.periods import days_of_period
from tests.oracle.references import Books, in_force

ZERO = Decimal(0)


def minimum_lines(books: Books, period: str, billed: list[Line]) -> list[Line]:
    """The true-ups of a period that is over; `billed`: its usage, discount and subscription lines.

    The deepest account's commitments come first, each account's by commitment_id; what an earlier one trues up is
    billed for the later ones of the same account and of those above.
    """
    tree, last_day, lines = Hierarchy(books), days_of_period(period)[-1], []
    due = [row for row in books.commitments if row["account_id"] in books.accounts and in_force(row, last_day)]
    for row in sorted(due, key=lambda row: (-tree.depth(row["account_id"]), row["commitment_id"])):
        covered = tree.subtree(row["account_id"])
        so_far = sum(
            line.amount
            for line in (*billed, *lines)
            if line.account_id in covered and line.currency_code == row["currency_code"]
        )
        missing = max(ZERO, row["minimum_amount"] - so_far)
        if missing:
            lines.append(_line(row, period, missing))
    return lines


def _line(row: dict, period: str, missing: Decimal) -> Line:
    return charged(
        missing,
        row["currency_code"],
        billing_period=period,
        account_id=row["account_id"],
        line_type="minimum",
        reference_id=row["commitment_id"],
        sku=WHOLE_ACCOUNT,
        region=WHOLE_ACCOUNT,
    )

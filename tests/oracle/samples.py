"""The sample input's landings and closes, and its expected figures (`expected.json`) held against the oracle's.

The generator of the samples knows what it planted and rates it by itself: where it and the oracle agree, a figure was
reached twice without a warehouse.
"""

import json
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from tests.oracle.closing import Close
from tests.oracle.compare import shown
from tests.oracle.counting import Landing
from tests.oracle.exact import exact_arithmetic
from tests.oracle.result import Result

COUNTS = ("records", "rejected", "duplicates", "held", "unattributed", "attributed")
MONTH = ("billing_period", "account_id", "metric", "sku")
LINE = ("billing_period", "account_id", "sku", "region", "price_id", "currency_code")
INVOICE = ("billing_period", "account_id", "currency_code")
ADJUSTMENT = ("billing_period", "origin_period", "account_id", "sku", "region", "currency_code")
LEDGER = ("billing_period", "account_id", "sku", "currency_code")


def sample_landings(samples: Path) -> tuple[list[Landing], list[Close]]:
    """The landings and closes that the samples are made for."""
    expected = json.loads((samples / "expected.json").read_text())
    landings = [
        Landing(samples / landing["folder"], datetime.fromisoformat(landing["as_of"].replace("Z", "+00:00")))
        for landing in expected["landings"]
    ]
    batches = [landing["batch_id"] for landing in expected["landings"]]
    closes = [
        Close(close["billing_period"], batches.index(close["cutoff_batch_id"]) + 1) for close in expected["closes"]
    ]
    return landings, closes


def differences_to_expected(result: Result, samples: Path) -> list[str]:
    """Every difference between the oracle's result and the figures that the samples were planted to give."""
    expected = json.loads((samples / "expected.json").read_text())
    with exact_arithmetic():
        return [*_count_differences(result, expected), *_figure_differences(result, expected)]


def _count_differences(result: Result, expected: dict) -> list[str]:
    found = []
    for batch in expected["batches"]:
        mine = result.batches[batch["batch_id"]]
        pairs = {name: (getattr(mine, name), batch[name]) for name in COUNTS}
        pairs["conflicting"] = (mine.conflicting, batch["conflicting_duplicates"])
        pairs["reject reasons"] = (dict(mine.reject_reasons), batch["rejected_by_reason"])
        pairs["rejected files"] = (mine.rejected_files, len(batch["rejected_files"]))
        found += [
            f"batch {batch['batch_id']}: {name}: oracle {ours}, expected {theirs}"
            for name, (ours, theirs) in pairs.items()
            if ours != theirs
        ]
    return found


def _figure_differences(result: Result, expected: dict) -> list[str]:
    known = result.as_of(result.history.last_batch).monthly
    final = {key: usage for key, usage in result.usage_monthly.items() if key.billing_period in result.final_cutoffs}
    usage, lines = ("quantity", "event_count"), ("quantity", "precise_amount", "amount")
    breaks = [(key, row) for key, row in result.ledger.items() if row.difference_amount]
    last = max(result.final_cutoffs)
    return [
        *_unequal("usage_monthly", MONTH, usage, known.items(), expected),
        *_unequal("usage_monthly_final", MONTH, usage, final.items(), expected),
        *_unequal("invoice_lines", LINE, lines, [(line, line) for line in result.lines.values()], expected),
        *_unequal("adjustments", ADJUSTMENT, ("amount",), [(line, line) for line in result.adjustments], expected),
        *_unequal(
            "ledger_breaks",
            LEDGER,
            ("billed_amount", "ledger_amount"),
            [(key, row) for key, row in breaks if key.billing_period <= last],
            expected,
        ),
        *_unequal_invoices(result, expected),
    ]


def _unequal(name: str, grain: tuple, figures: tuple, rows, expected: dict) -> list[str]:
    """`rows`: pairs of an object with the grain's names and one with the figures; summed to the grain on both sides."""
    mine, theirs = defaultdict(Decimal), defaultdict(Decimal)
    for key, row in rows:
        for figure in figures:
            mine[(*(getattr(key, column) for column in grain), figure)] += getattr(row, figure)
    for row in expected[name]:
        for figure in figures:
            theirs[(*(row[column] for column in grain), figure)] += Decimal(row[figure])
    return _listed(name, mine, theirs)


def _unequal_invoices(result: Result, expected: dict) -> list[str]:
    theirs = {tuple(row[column] for column in INVOICE): Decimal(row["amount"]) for row in expected["invoices"]}
    return _listed("invoices", result.invoices, theirs)


def _listed(name: str, mine: dict, theirs: dict) -> list[str]:
    return [
        f"{name}: {shown(key)}: oracle {mine.get(key)}, expected {theirs.get(key)}"
        for key in sorted(mine.keys() | theirs, key=str)
        if mine.get(key) != theirs.get(key)
    ]

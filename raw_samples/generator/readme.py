"""Writes the samples' README from what was planted, so that its figures are those of expected.json."""

from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

from raw_samples.generator import company
from raw_samples.generator.model import Plant

TEMPLATE = Path(__file__).with_name("README.template.md")


def table(head: str, rows: list[tuple]) -> list[str]:
    """A Markdown table."""
    columns = head.split(" | ")
    return [
        f"| {head} |",
        "|" + " --- |" * len(columns),
        *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows),
    ]


def batches(expected: dict) -> list[str]:
    names = ("records", "rejected", "duplicates", "conflicting_duplicates", "held", "unattributed", "attributed")
    rows = [
        (
            b["batch_id"],
            f"arrived={b['arrived']}",
            b["as_of"],
            *(f"{b[name]:,}" for name in names),
            len(b["rejected_files"]),
        )
        for b in expected["batches"]
    ]
    return table(
        "batch | folder | as of | records | rejected | duplicates | of them conflicting | held | unattributed"
        " | attributed | rejected files",
        rows,
    )


def reasons(expected: dict) -> list[str]:
    """Rejected records by reason and batch; one record may have several reasons."""
    names = sorted({reason for b in expected["batches"] for reason in b["rejected_by_reason"]})
    rows = [(f"`{name}`", *(b["rejected_by_reason"].get(name, 0) for b in expected["batches"])) for name in names]
    return table("reason | " + " | ".join(f"batch {b['batch_id']}" for b in expected["batches"]), rows)


def bills(expected: dict) -> list[str]:
    """Invoiced totals per period and currency, adjustments apart."""
    usage, adjusted, booked = (defaultdict(Decimal) for _ in range(3))
    for row in expected["billed_usage"]:
        usage[row["billing_period"], row["currency_code"]] += row["amount"]
    for row in expected["adjustments"]:
        adjusted[row["billing_period"], row["currency_code"]] += row["amount"]
    for row in expected["ledger_breaks"]:
        booked[row["billing_period"], row["currency_code"]] += row["difference_amount"]
    rows = [
        (
            period,
            currency,
            f"{usage[period, currency]:,}",
            f"{adjusted[period, currency]:,}",
            f"{booked[period, currency]:,}" if period != "2026-11" else "no ledger yet",
        )
        for period, currency in sorted(usage)
    ]
    return table("period | currency | usage lines | adjustment lines | billed − ledger", rows)


def breaks(expected: dict) -> list[str]:
    """The planted breaks one by one; late usage, which touches many keys, as one row per period."""
    rows = []
    late = defaultdict(Counter)
    for row in expected["ledger_breaks"]:
        if row["cause"] == "late_usage" and row["account_id"] != company.WAIVED_ACCOUNT:
            late[row["billing_period"]][row["currency_code"]] += row["difference_amount"]
            late[row["billing_period"]]["keys"] += 1
        else:
            rows.append(
                (
                    row["billing_period"],
                    row["account_id"],
                    row["sku"],
                    row["billed_amount"],
                    row["ledger_amount"],
                    row["difference_amount"],
                    row["currency_code"],
                    row["cause"],
                )
            )
    for period, sums in late.items():
        told = ", ".join(f"{sums[currency]} {currency}" for currency in company.CURRENCY_FACTOR)
        rows.append((period, "acct_0001 … acct_0012", f"{sums['keys']} keys", "", "", told, "", "late_usage"))
    return table(
        "period | account | SKU | billed | ledger | billed − ledger | currency | cause",
        sorted(rows, key=lambda r: (r[0], r[-1], r[1])),
    )


def text(expected: dict, plants: list[Plant], files: dict[str, bytes]) -> bytes:
    """The whole README: the template with its figures and tables filled in."""
    dumps = [data for path, data in files.items() if "/events/" in path]
    gaps = []
    for gate in expected["gate"]:
        told = [f"{currency} {Decimal(ratio) * 100:.3f} %" for currency, ratio in sorted(gate["gap_ratio"].items())]
        gaps.append(f"{gate['billing_period']} {', '.join(told)}")
    filled = TEMPLATE.read_text().format(
        accounts=len(company.ACCOUNTS),
        records=sum(b["records"] for b in expected["batches"]),
        dumps=len(dumps),
        megabytes=round(sum(map(len, dumps)) / 1e6, 1),
        batches="\n".join(batches(expected)),
        plants="\n".join(table("plant | where | rule | figure", [(p.name, p.where, p.rule, p.figure) for p in plants])),
        reasons="\n".join(reasons(expected)),
        bills="\n".join(bills(expected)),
        breaks="\n".join(breaks(expected)),
        waived=company.WAIVED_ACCOUNT,
        gaps="; ".join(gaps),
    )
    return filled.encode()

"""Bills the true usage in plain Decimal arithmetic, and writes finance's ledger from it, with planted breaks.

Finance's ledger knows every bill to the cent but for the breaks: what was collected after it was posted is not in it,
and a few keys are wrong on purpose.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from raw_samples.generator import company
from raw_samples.generator.company import ACCOUNT, CLOSES, LANDINGS, Close
from raw_samples.generator.rating import PriceBook, rate
from raw_samples.generator.truth import Usage

BILLABLE = {sku.sku for sku in company.ALL_SKUS if sku.billable}
LAST = LANDINGS[-1].batch_id
ByPeriod = dict[str, list[Usage]]  # billing period → its usage
Key = tuple[str, str, str, str]  # billing period, account, SKU, currency


@dataclass
class Line:
    """A rated line: one account, period, SKU, region and price."""

    period: str
    account_id: str
    sku: str
    region: str
    price_id: str
    currency: str
    quantity: Decimal
    precise: Decimal
    amount: Decimal


def lines(usage: list[Usage], book: PriceBook, period: str) -> list[Line]:
    """Rates usage, all of one period."""
    sums: dict[tuple, Decimal] = defaultdict(Decimal)
    for use in usage:
        if use.sku in BILLABLE:
            price = book.find(use.account_id, use.date, use.sku, use.region)
            sums[use.account_id, use.sku, use.region, price.price_id] += use.quantity
    rated = []
    for (account_id, sku, region, price_id), quantity in sorted(sums.items()):
        price = book.by_id[price_id]
        rated.append(Line(period, account_id, sku, region, price_id, price.currency, quantity, *rate(price, quantity)))
    return rated


def by_period(usage: list[Usage]) -> ByPeriod:
    """Usage sorted into billing periods."""
    sorted_out: ByPeriod = defaultdict(list)
    for use in usage:
        sorted_out[use.period].append(use)
    return sorted_out


def totals(rated: list[Line], fields: tuple[str, ...]) -> dict[tuple, Decimal]:
    """Sums of rounded amounts by the named fields."""
    sums: dict[tuple, Decimal] = defaultdict(Decimal)
    for line in rated:
        sums[tuple(getattr(line, name) for name in fields)] += line.amount
    return sums


@dataclass
class Bills:
    """Every period as it is billed: usage lines at the close, adjustments of earlier periods, and the ledger's keys."""

    usage_lines: dict[str, list[Line]] = field(default_factory=dict)
    adjustments: list[dict] = field(default_factory=list)
    by_key: dict[Key, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


def adjust(bills: Bills, usage: ByPeriod, book: PriceBook, origin: str, period: str, batches: tuple[int, int]) -> None:
    """Bills in `period` what became known of a closed one between two batches: all known usage minus all billed."""
    before, after = (lines([u for u in usage[origin] if u.known <= batch], book, origin) for batch in batches)
    grain = ("account_id", "sku", "region", "currency")
    old, new = totals(before, grain), totals(after, grain)
    touched = {(u.account_id, u.sku, u.region) for u in usage[origin] if batches[0] < u.known <= batches[1]}
    for account_id, sku, region in sorted(touched):
        if sku not in BILLABLE:
            continue
        currency = ACCOUNT[account_id].currency
        key = (account_id, sku, region, currency)
        amount = new[key] - old.get(key, Decimal(0))
        bills.adjustments.append(
            {
                "billing_period": period,
                "origin_period": origin,
                "account_id": account_id,
                "sku": sku,
                "region": region,
                "currency_code": currency,
                "amount": amount,
                "quantity_before": sum(
                    (x.quantity for x in before if (x.account_id, x.sku, x.region) == key[:3]), Decimal(0)
                ),
                "quantity_after": sum(
                    (x.quantity for x in after if (x.account_id, x.sku, x.region) == key[:3]), Decimal(0)
                ),
            }
        )
        bills.by_key[period, account_id, sku, currency] += amount


def bill(usage: ByPeriod, book: PriceBook) -> Bills:
    """All periods: September and October as closed, November as it stands after the last landing."""
    bills = Bills()
    september, october = CLOSES
    for period, cutoff in (
        (september.period, september.cutoff_batch_id),
        (october.period, october.cutoff_batch_id),
        ("2026-11", LAST),
    ):
        rated = lines([u for u in usage[period] if u.known <= cutoff], book, period)
        bills.usage_lines[period] = rated
        for line in rated:
            bills.by_key[period, line.account_id, line.sku, line.currency] += line.amount
    adjust(bills, usage, book, september.period, october.period, (september.cutoff_batch_id, october.cutoff_batch_id))
    adjust(bills, usage, book, september.period, "2026-11", (october.cutoff_batch_id, LAST))
    adjust(bills, usage, book, october.period, "2026-11", (october.cutoff_batch_id, LAST))
    return bills


OLD_PRICE = (  # ledger rated the whole of October at the price before the change: account, SKU
    ("acct_0030", "document-analysis"),
    ("acct_0029", "storage-operations"),
)
ROUNDED = (
    ("2026-09", "acct_0016", "api-egress", "0.01"),
    ("2026-09", "acct_0031", "storage-operations", "-1"),
    ("2026-10", "acct_0023", "storage-archive", "-0.01"),
    ("2026-10", "acct_0019", "api-priority", "1"),
)
MISSING_IN_LEDGER = (("2026-09", "acct_0002", "storage-operations"), ("2026-10", "acct_0017", "storage-archive"))
MISSING_IN_USAGE = (
    ("2026-09", "acct_0026", "kube-cpu", "6.40"),
    ("2026-10", "acct_0019", "kube-memory", "310"),
)  # they run nothing there
TIMING = ("acct_0013", "storage-archive")  # September's entry stands in October
UNEXPLAINED = (("2026-09", "acct_0011", "kube-memory", "-3.17"), ("2026-10", "acct_0005", "function-duration", "6.05"))
# Accounts and SKUs whose breaks are planted here: they get no late usage, so that each break has one cause.
PLANTED = {
    *OLD_PRICE,
    TIMING,
    *(row[1:3] for table in (ROUNDED, MISSING_IN_LEDGER, MISSING_IN_USAGE, UNEXPLAINED) for row in table),
}


@dataclass
class Ledger:
    """Finance's entries, and every break with its cause; differences are billed − ledger."""

    entries: list[tuple]
    breaks: list[dict]


def at_old_price(usage: ByPeriod, book: PriceBook, close: Close, account_id: str, sku: str) -> Decimal:
    """What the key costs if all of the period is rated at the price before the change."""
    sums: dict[tuple, Decimal] = defaultdict(Decimal)
    for use in usage[close.period]:
        if (use.account_id, use.sku) == (account_id, sku) and use.known <= close.cutoff_batch_id:
            sums[book.plan(account_id, use.date), use.region] += use.quantity
    return sum((rate(book.by_id[f"{plan}:{sku}:1"], quantity)[1] for (plan, _), quantity in sums.items()), Decimal(0))


def keep_ledger(usage: ByPeriod, book: PriceBook, bills: Bills) -> Ledger:
    """The ledger after its last version: one entry per period, account, SKU and currency."""
    amounts: dict[Key, Decimal] = {}
    causes: dict[Key, str] = {}
    for close in CLOSES:
        missed, cutoff = f"in the window of {close.period}", close.cutoff_batch_id
        in_time = [u for u in usage[close.period] if u.known <= cutoff and u.late != missed]
        posted = totals(lines(in_time, book, close.period), ("period", "account_id", "sku", "currency"))
        for row in bills.adjustments:
            if row["billing_period"] == close.period:
                posted[close.period, row["account_id"], row["sku"], row["currency_code"]] += row["amount"]
        for key in posted.keys() | {k for k in bills.by_key if k[0] == close.period}:
            amounts[key] = posted.get(key, Decimal(0))
            if amounts[key] != bills.by_key[key]:
                causes[key] = "late_usage" if key in posted else "missing_in_ledger"
    amounts = {key: amount for key, amount in amounts.items() if causes.get(key) != "missing_in_ledger"}
    extra = plant_breaks(usage, book, amounts, causes)
    posted_at = {close.period: close.ledger_posted_at for close in CLOSES}
    entries = [
        (f"led-{p}-{a[-4:]}-{s}", p, a, s, c, amount, posted_at[p]) for (p, a, s, c), amount in sorted(amounts.items())
    ]
    return Ledger(sorted([*entries, *extra]), breaks_of(bills, entries + extra, causes))


def plant_breaks(usage: ByPeriod, book: PriceBook, amounts: dict[Key, Decimal], causes: dict[Key, str]) -> list[tuple]:
    """Makes the ledger wrong where the tables above say so; returns the extra entries."""

    def key_of(period: str, account_id: str, sku: str) -> Key:
        key = (period, account_id, sku, ACCOUNT[account_id].currency)
        if key in causes:
            raise ValueError(f"{key} is broken already: {causes[key]}")
        return key

    for account_id, sku in OLD_PRICE:
        key = key_of(CLOSES[1].period, account_id, sku)
        amounts[key], causes[key] = at_old_price(usage, book, CLOSES[1], account_id, sku), "price"
    for table, cause in ((ROUNDED, "rounding"), (UNEXPLAINED, "unexplained")):
        for period, account_id, sku, delta in table:
            key = key_of(period, account_id, sku)
            amounts[key] += Decimal(delta)
            causes[key] = cause
    for period, account_id, sku in MISSING_IN_LEDGER:
        key = key_of(period, account_id, sku)
        del amounts[key]
        causes[key] = "missing_in_ledger"
    for period, account_id, sku, amount in MISSING_IN_USAGE:
        key = key_of(period, account_id, sku)
        amounts[key], causes[key] = Decimal(amount), "missing_in_usage"
    account_id, sku = TIMING
    own, next_one = key_of(CLOSES[0].period, account_id, sku), key_of(CLOSES[1].period, account_id, sku)
    causes[own] = causes[next_one] = "timing"
    moved = amounts.pop(own)
    return [
        (
            f"led-2026-10-{account_id[-4:]}-{sku}-b",
            CLOSES[1].period,
            account_id,
            sku,
            own[3],
            moved,
            CLOSES[0].ledger_posted_at,
        )
    ]


def breaks_of(bills: Bills, entries: list[tuple], causes: dict[Key, str]) -> list[dict]:
    """Every key whose bill and ledger differ, with its cause."""
    ledger: dict[Key, Decimal] = defaultdict(Decimal)
    for _, period, account_id, sku, currency, amount, _ in entries:
        ledger[period, account_id, sku, currency] += amount
    periods = {close.period for close in CLOSES}
    rows = []
    for key in sorted(ledger.keys() | {k for k in bills.by_key if k[0] in periods}):
        billed, booked = bills.by_key.get(key, Decimal(0)), ledger.get(key, Decimal(0))
        if billed != booked:
            names = ("billing_period", "account_id", "sku", "currency_code")
            rows.append(
                dict(zip(names, key, strict=True))
                | {
                    "billed_amount": billed,
                    "ledger_amount": booked,
                    "difference_amount": billed - booked,
                    "cause": causes[key],
                }
            )
    return rows


def known_entries(ledger: Ledger, batch_id: int) -> list[tuple]:
    """The ledger file of a landing: what finance had posted by then."""
    limit = LANDINGS[batch_id - 1].as_of
    return [entry for entry in ledger.entries if entry[-1] <= limit]


def check_gate(bills: Bills, ledger: Ledger) -> list[dict]:
    """The gaps, and the accounts over 2 % and one unit; raises unless only the waived account is over."""
    summary = []
    for close in CLOSES:
        gaps: dict[tuple, Decimal] = defaultdict(Decimal)
        booked: dict[tuple, Decimal] = defaultdict(Decimal)
        for _, period, account_id, _, currency, amount, _ in ledger.entries:
            if period == close.period:
                booked[currency,] += amount
                booked[account_id, currency] += amount
        for row in ledger.breaks:
            if row["billing_period"] == close.period:
                size = abs(row["difference_amount"])
                gaps[row["currency_code"],] += size
                gaps[row["account_id"], row["currency_code"]] += size
        over = {key[0] for key, gap in gaps.items() if len(key) == 2 and gap > 1 and gap > booked[key] * 2 / 100}
        total = {
            key[0]: str((gap / booked[key]).quantize(Decimal("0.000001"))) for key, gap in gaps.items() if len(key) == 1
        }
        expected = {company.WAIVED_ACCOUNT} if close.period == "2026-09" else set()
        if over != expected or any(Decimal(ratio) >= Decimal("0.005") for ratio in total.values()):
            worst = {k: f"{gaps[k] / booked[k]:.4f}" for k in gaps if len(k) == 2 and gaps[k] > booked[k] / 100}
            raise ValueError(f"{close.period}: accounts over the limit {over}, gaps {total}, {worst}")
        summary.append({"billing_period": close.period, "gap_ratio": total, "accounts_over_limit": sorted(over)})
    return summary

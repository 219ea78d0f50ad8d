"""PDF statements: one per invoiced account, with its invoice lines, their tiers and the totals, provisional or final.

An account that has a parent is charged on the invoice of the topmost one: it has no statement of its own.

The figures are those of the published file; a statement whose lines do not add up to its invoice is never written.
PDF's own fonts know Western European letters only: others lose their accents or show as `?`, beside the account_id, and
the full name stands in the document's title, which may hold any script.
"""

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from orchestration.closing import period_bounds
from orchestration.errors import UsageWarehouseError
from orchestration.publishing.publication import Publication, write_atomically
from orchestration.publishing.writing import literal

ENCODING = "windows-1252"
# Latin letters that Unicode does not take apart into a plain letter and an accent
PLAIN_LETTERS = str.maketrans("ĐđĦħıĸŁłŊŋŦŧƁƓƗɨƟɵ", "DdHhikLlNnTtBGIiOo")
# title, width in mm, alignment
COLUMNS = (
    ("Item", 68, "L"),
    ("Region", 28, "L"),
    ("Pricing", 26, "L"),
    ("Quantity", 38, "R"),
    ("Amount", 30, "R"),
)
# the account on whose invoice a line stands
INVOICED = ("invoice_account_id",)
STATUS_TEXTS = {"final": "FINAL", "provisional": "PROVISIONAL: figures may still change"}


@dataclass(frozen=True)
class Statement:
    """Everything that one account's statement shows. `tiers` are by line_id, `minor_units` by currency."""

    account: dict
    period: str
    status: str
    dated: datetime
    invoices: list[dict]
    lines: list[dict]
    tiers: dict[str, list[dict]]
    minor_units: dict[str, int]


def export_statements(publication: Publication, out: Path) -> list[Path]:
    """Write `statement_<period>_<account>.pdf` for each account with an invoice, or for the one account asked for."""
    written = []
    for statement in _statements(publication):
        target = out / f"{publication.file_stem('statement', statement.account['account_id'])}.pdf"
        pdf = render(statement)
        written.append(write_atomically(target, lambda aside, pdf=pdf: pdf.output(str(aside))))
    return written


# --- what a statement says ------------------------------------------------------------------------


def _statements(publication: Publication) -> list[Statement]:
    table, condition = publication.table, publication.condition()
    invoices = _by(publication.rows(f"from {table('billing.invoices')} where {condition} order by all"), "account_id")
    lines = _by(publication.rows(_lines_query(publication)), "invoice_account_id")
    tiers = _by(publication.rows(_tiers_query(publication)), "line_id")
    accounts = {row["account_id"]: row for row in publication.rows(f"from {table('billing.accounts')}")}
    currencies = publication.rows(f"from {table('billing.currencies')}")
    minor_units = {row["currency_code"]: row["minor_unit"] for row in currencies}
    [state] = publication.rows(
        f"from {table('billing.billing_periods')} where billing_period = {literal(publication.period)}"
    )
    _refuse_child(publication)
    chosen = [publication.account] if publication.account is not None else sorted(invoices.keys() | lines.keys())
    return [
        _add_up(
            Statement(
                account=accounts.get(account_id) or {"account_id": account_id, "account_name": None},
                period=publication.period,
                status=state["status"],
                dated=_dated(state, publication.period),
                invoices=invoices[account_id],
                lines=lines[account_id],
                tiers={line["line_id"]: tiers[line["line_id"]] for line in lines[account_id]},
                minor_units=minor_units,
            )
        )
        for account_id in chosen
    ]


def _refuse_child(publication: Publication) -> None:
    """Raise UsageWarehouseError where the account asked for is charged on another account's invoice."""
    if publication.account is None:
        return
    others = publication.rows(
        f"select distinct invoice_account_id from {publication.table('billing.invoice_lines')} "
        f"where {publication.condition()} and invoice_account_id <> account_id"
    )
    if others:
        raise UsageWarehouseError(
            f"{publication.account} is charged on the invoice of {others[0]['invoice_account_id']} in "
            f"{publication.period}: ask for the statement of that account"
        )


def _lines_query(publication: Publication) -> str:
    return f"""
        select line.*, sku.sku_name
        from {publication.table("billing.invoice_lines")} as line
        left join {publication.table("billing.skus")} as sku using (sku)
        where {publication.condition("line", INVOICED)}
        order by line.account_id, line.currency_code, line.origin_period, line.sku, line.region, line.price_id, line_id
    """


def _tiers_query(publication: Publication) -> str:
    return f"""
        select tier.*
        from {publication.table("billing.invoice_line_tiers")} as tier
        semi join (
            select line_id from {publication.table("billing.invoice_lines")}
            where {publication.condition(columns=INVOICED)}
        ) as line on tier.line_id = line.line_id
        order by tier.line_id, tier.tier_number
    """


def _by(rows: list[dict], column: str) -> dict[Any, list[dict]]:
    groups = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups


def _dated(state: dict, period: str) -> datetime:
    """The document's date: when the period was closed, else its end; never the clock, so that bytes can be repeated."""
    instant = state["finalized_at"] or datetime.combine(period_bounds(period)[1], datetime.min.time())
    return instant.replace(tzinfo=UTC, microsecond=0)


def _add_up(statement: Statement) -> Statement:
    """The statement itself; raises UsageWarehouseError when its lines do not add up to its invoices."""
    billed: dict[str, Decimal] = defaultdict(Decimal)
    with localcontext(prec=76):  # Python's default of 28 digits is fewer than an amount may have
        for line in statement.lines:
            billed[line["currency_code"]] += line["amount"]
    invoiced = {invoice["currency_code"]: invoice["amount"] for invoice in statement.invoices}
    if dict(billed) != invoiced:
        raise UsageWarehouseError(
            f"the lines of {statement.account['account_id']} in {statement.period} do not add up to its invoices: "
            f"no statement is written"
        )
    return statement


# --- how it looks ----------------------------------------------------------------------------------


def render(statement: Statement) -> Any:
    """The statement as an FPDF document."""
    pdf = _document(statement)
    pdf.add_page()
    _heading(pdf, statement)
    for invoice in statement.invoices:
        currency = invoice["currency_code"]
        _column_titles(pdf, currency)
        for line in statement.lines:
            if line["currency_code"] == currency:
                _line(pdf, statement, line)
        _total(pdf, f"Total {currency}", money(invoice["amount"], statement.minor_units.get(currency)))
    if not statement.invoices:
        pdf.cell(0, 8, "No charges in this period.", new_x="LMARGIN", new_y="NEXT")
    return pdf


def _document(statement: Statement) -> Any:
    from fpdf import FPDF

    account_id = printable(statement.account["account_id"])

    class Document(FPDF):
        """A4 pages that each say whose statement they belong to."""

        def footer(self) -> None:
            self.set_y(-15)
            self.set_font("Helvetica", size=7)
            label = f"{account_id}  {statement.period}  {statement.status}  page {self.page_no()} of {{nb}}"
            self.cell(0, 5, _fitting(self, label, 190), align="C")

    pdf = Document(format="A4")
    pdf.core_fonts_encoding = ENCODING
    pdf.set_auto_page_break(True, margin=18)
    pdf.set_creation_date(statement.dated)
    pdf.set_title(f"Usage statement {statement.period} {statement.account['account_name'] or account_id}")
    return pdf


def _heading(pdf: Any, statement: Statement) -> None:
    account = statement.account
    pdf.set_font("Helvetica", "B", 16)
    pdf.cell(0, 10, "Usage statement", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Helvetica", size=10)
    for label, value in (
        ("Account", printable(account["account_name"] or "")),
        ("Account ID", printable(account["account_id"])),
        ("Billing period", statement.period),
        ("Status", STATUS_TEXTS.get(statement.status, statement.status.upper())),
    ):
        pdf.cell(30, 6, label)
        pdf.multi_cell(0, 6, value, new_x="LMARGIN", new_y="NEXT", align="L")
    pdf.ln(4)


def _column_titles(pdf: Any, currency: str) -> None:
    pdf.set_font("Helvetica", "B", 9)
    for title, width, align in COLUMNS:
        pdf.cell(width, 7, f"{title} {currency}" if title == "Amount" else title, border="B", align=align)
    pdf.ln(8)


def _line(pdf: Any, statement: Statement, line: dict) -> None:
    """A line, then its tiers; what it bills beside usage of this period is said in words."""
    item = line["sku_name"] or (line["sku"] if line["sku"] != "*" else line["reference_id"]) or line["line_type"]
    if line["line_type"] != "usage":
        item = f"{item} ({line['line_type']} of {line['origin_period'] or line['billing_period']})"
    if line["account_id"] != line["invoice_account_id"]:
        item = f"{line['account_id']}: {item}"
    pdf.set_font("Helvetica", size=9)
    cells = (
        item,
        line["region"] or "",
        line["pricing_model"] or "",
        f"{quantity(line['quantity'])} {line['unit'] or ''}",
        money(line["amount"], statement.minor_units.get(line["currency_code"])),
    )
    for (_, width, align), text in zip(COLUMNS, cells, strict=True):
        pdf.cell(width, 5, _fitting(pdf, printable(text), width), align=align)
    pdf.ln(5)
    pdf.set_font("Helvetica", size=7)
    for tier in statement.tiers[line["line_id"]]:
        pdf.cell(0, 4, _fitting(pdf, printable(f"    {_tier(tier)}"), 190), new_x="LMARGIN", new_y="NEXT")


def _tier(tier: dict) -> str:
    """A tier as the sum that it is."""
    parts = [f"tier {tier['tier_number']}: {quantity(tier['tier_quantity'])}"]
    if tier.get("rate_percent"):
        parts.append(f"× {quantity(tier['rate_percent'])} %")
    elif tier["unit_price"] is not None:
        parts.append(f"× {quantity(tier['unit_price'])}")
    if tier["flat_fee"]:
        parts.append(f"+ {quantity(tier['flat_fee'])} fee")
    return " ".join([*parts, f"= {quantity(tier['tier_amount'])}"])


def _total(pdf: Any, label: str, amount: str) -> None:
    pdf.set_font("Helvetica", "B", 10)
    widths = [width for _, width, _ in COLUMNS]
    pdf.cell(sum(widths[:-2]), 8, label, border="T")
    pdf.cell(sum(widths[-2:]), 8, amount, border="T", align="R", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(4)


def quantity(value: Decimal | None) -> str:
    """An exact decimal with thousands separators and without trailing zeros."""
    if value is None:
        return ""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Decimal, minor_unit: int | None) -> str:
    """An amount with its currency's decimals; all of them where the currency is not known, or where it holds more."""
    exact = quantity(value)
    digits = len(exact.partition(".")[2])
    return exact if minor_unit is None or digits > minor_unit else f"{value:,.{minor_unit}f}"


def printable(text: str) -> str:
    """A text in the letters of PDF's own fonts: accents dropped where need be, letters of other scripts as `?`."""
    letters = []
    for letter in unicodedata.normalize("NFC", text.translate(PLAIN_LETTERS)):
        if unicodedata.category(letter).startswith(("C", "Z")):
            letters.append(" ")
        elif _encodable(letter):
            letters.append(letter)
        else:
            bare = [part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part)]
            letters.append("".join(part if _encodable(part) else "?" for part in bare))
    return "".join(letters)


def _encodable(letter: str) -> bool:
    try:
        letter.encode(ENCODING)
    except UnicodeEncodeError:
        return False
    return True


def _fitting(pdf: Any, text: str, width: float) -> str:
    """The text cut with an ellipsis where it would run into the next column."""
    if pdf.get_string_width(text) <= width - 2:
        return text
    while text and pdf.get_string_width(f"{text}…") > width - 2:
        text = text[:-1]
    return f"{text}…"

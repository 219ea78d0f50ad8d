"""Holds the oracle's figures against the warehouse's marts and lists every difference, both ways, to the last digit.

Equal means the same number (1.5 = 1.50), in an exact type: a float is a difference of its own. Where the contract
leaves the form open, the comparison is on what it fixes: unattributed usage is summed over first_seen_date, adjustments
over the lines that make them up, and rows of nothing but zeros (tiers, adjustments, ledger, invoices, allocations) count
as absent.
"""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal

from tests.oracle.exact import exact_arithmetic
from tests.oracle.fx import REPORTING_CURRENCY, rate_of, reported

ZERO = Decimal(0)
HOUR_GRAIN = ("usage_hour", "billing_date", "account_id", "metric", "sku", "region")
MONTH_GRAIN = ("billing_period", "account_id", "metric", "sku", "region")
LINE_GRAIN = (
    *("billing_period", "line_type", "account_id", "sku", "region", "price_id", "reference_id", "base_reference_id"),
    *("slice_from", "measured_in"),
)
ADJUSTMENT_GRAIN = (
    *("billing_period", "origin_period", "invoice_account_id", "account_id", "charge_type", "reference_id", "sku"),
    *("region", "slice_from", "currency_code"),
)
BALANCE_FIGURES = (
    *("account_id", "currency_code", "opening_amount", "burned_amount", "expired_amount", "closing_amount"),
)
CONSERVATION = ("records", "rejected", "duplicates", "held", "unattributed", "attributed")

# What of a tier is compared, by pricing model: quantity × unit_price + flat_fee means something only in these.
PRICED_PER_UNIT = ("per_unit", "graduated", "volume", "package")
WITH_FLAT_FEE = ("flat", "graduated", "volume", "percentage", "graduated_percentage")

Figures = dict[tuple, dict]


def compare(oracle_result, duckdb_connection) -> list[str]:
    """Every difference between the oracle's result and the connected database's marts; an empty list means equal."""
    with exact_arithmetic():
        return [difference for check in CHECKS for difference in check(oracle_result, duckdb_connection)]


# --- the comparisons --------------------------------------------------------------------------------------------------


def conservation(result, connection) -> list[str]:
    """operations.event_conservation: every count of every batch, and that nothing is lost."""
    columns = CONSERVATION + ("conflicting",) * has_column(connection, "operations.event_conservation", "conflicting")
    mine = {
        (batch_id,): {**{column: getattr(counts, column) for column in columns}, "difference": 0}
        for batch_id, counts in result.batches.items()
    }
    return against(mine, connection, "operations.event_conservation", ("batch_id",), (*columns, "difference"))


def hourly(result, connection) -> list[str]:
    """usage.usage_hourly."""
    figures = ("unit", "quantity", "event_count", "quantity_variance")
    mine = _usage_figures(result.usage_hourly, figures)
    return against(mine, connection, "usage.usage_hourly", HOUR_GRAIN, figures)


def daily(result, connection) -> list[str]:
    """usage.usage_daily."""
    figures = ("unit", "quantity", "event_count", "peak_per_minute")
    return against(
        _usage_figures(result.usage_daily, figures), connection, "usage.usage_daily", HOUR_GRAIN[1:], figures
    )


def monthly(result, connection) -> list[str]:
    """usage.usage_monthly, and that exactly the closed periods are final."""
    figures = ("unit", "quantity", "event_count", "peak_per_minute", "p95_per_minute")
    mine = _usage_figures(result.usage_monthly, figures)
    for key, values in mine.items():
        values["is_final"] = key[0] in result.final_cutoffs
    columns = (*figures, "period_status = 'final' as is_final")
    return against(mine, connection, "usage.usage_monthly", MONTH_GRAIN, columns)


def late(result, connection) -> list[str]:
    """usage.late_usage, where the warehouse has it."""
    if not has_column(connection, "usage.late_usage", "quantity"):
        return []
    figures = ("unit", "quantity", "event_count")
    return against(_usage_figures(result.late_usage, figures), connection, "usage.late_usage", MONTH_GRAIN, figures)


def unattributed(result, connection) -> list[str]:
    """usage.unattributed_usage, per key, metric, SKU and region."""
    mine = _usage_figures(result.unattributed, ("quantity", "event_count"))
    query = """
        select nullif(nullif(key_type, ''), 'none') as key_type, nullif(key_value, '') as key_value,
               metric, sku, region, sum(quantity) as quantity, sum(event_count)::bigint as event_count
        from usage.unattributed_usage group by all"""
    grain = ("key_type", "key_value", "metric", "sku", "region")
    return against(mine, connection, f"({query}) as unattributed_usage", grain, ("quantity", "event_count"))


def lines(result, connection) -> list[str]:
    """billing.invoice_lines of every type but adjustments; usage lines without usage are compared without a unit."""
    figures = ("origin_period", "invoice_account_id", "charge_type", "pricing_model", "quantity", "currency_code")
    figures += ("precise_amount", "amount", "reporting_currency_code", "fx_rate_date", "fx_rate", "reporting_amount")
    mine, units = {}, {}
    for line in result.all_lines:
        if line.line_type == "adjustment":
            continue
        more = {
            "reporting_currency_code": REPORTING_CURRENCY,
            "is_final": line.billing_period in result.final_cutoffs,
        }
        mine[line_key(line)] = {name: getattr(line, name) for name in figures if name not in more} | more
        if line.unit is not None or line.line_type != "usage":
            units[line_key(line)] = {"unit": line.unit}
    columns = (*figures, "status = 'final' as is_final", "unit")
    theirs, differences = read(connection, LINES, LINE_GRAIN, columns)
    differences += unequal("invoice_lines", mine, theirs)
    return differences + unequal("invoice_lines", units, {key: theirs[key] for key in units.keys() & theirs})


def line_key(line) -> tuple:
    """A line of the oracle on LINE_GRAIN."""
    measured = line.base or line
    return (
        line.billing_period,
        line.line_type,
        line.account_id,
        line.sku,
        line.region,
        line.price_id,
        line.reference_id,
        line.base and line.base.reference_id,
        line.slice_from,
        measured.unit if measured.quantity else None,
    )


# The warehouse's lines on LINE_GRAIN. The unit of usage tells lines apart only where something was used.
LINES = """(
    select lines.*, base.reference_id as base_reference_id,
           case when coalesce(base.quantity, lines.quantity) <> 0 then coalesce(base.unit, lines.unit) end as measured_in
    from billing.invoice_lines as lines
    left join billing.invoice_lines as base on base.line_id = lines.base_line_id
    where lines.line_type <> 'adjustment') as invoice_lines"""


def tiers(result, connection) -> list[str]:
    """billing.invoice_line_tiers of the usage lines, and that the tiers of every line of any type sum up to it."""
    mine = {}
    for line in result.lines.values():
        for charge in line.tiers:
            values = (charge.quantity, charge.unit_price, charge.flat_fee, charge.amount)
            mine[(*line_key(line), charge.tier_number)] = _tier_figures(line.pricing_model, *values)
    query = f"""
        select invoice_lines.*, tiers.tier_number, tiers.tier_quantity, tiers.unit_price, tiers.flat_fee,
               tiers.tier_amount
        from billing.invoice_line_tiers as tiers join {LINES} using (line_id) where line_type = 'usage'"""
    columns = ("pricing_model", "tier_quantity", "unit_price", "flat_fee", "tier_amount")
    rows, differences = read(connection, f"({query}) as line_tiers", (*LINE_GRAIN, "tier_number"), columns)
    theirs = {key: _tier_figures(*values.values()) for key, values in rows.items()}
    return (
        differences
        + unequal("invoice_line_tiers", _telling(mine), _telling(theirs))
        + sums_of_tiers(result, connection)
    )


def sums_of_tiers(result, connection) -> list[str]:
    """Every line, of whatever type, whose tiers do not sum up to its precise amount."""
    query = """
        select line_id, line_type, precise_amount, coalesce(sum(tier_amount), 0) as of_tiers
        from billing.invoice_lines left join billing.invoice_line_tiers using (line_id)
        group by all having precise_amount <> of_tiers order by line_id"""
    return [
        f"invoice_line_tiers: {line_id} ({line_type}): the tiers sum up to {of_tiers}, the line to {precise}"
        for line_id, line_type, precise, of_tiers in connection.execute(query).fetchall()
    ]


def orphan_tiers(result, connection) -> list[str]:
    """Tiers of no line, and lines that occur twice."""
    queries = {
        "tiers of no line": "from billing.invoice_line_tiers anti join billing.invoice_lines using (line_id)",
        "line_id used twice": "from billing.invoice_lines group by line_id having count(*) > 1",
    }
    return [
        f"invoice_lines: {what}: {line_id}"
        for what, query in queries.items()
        for (line_id,) in connection.execute(f"select line_id {query} order by line_id").fetchall()
    ]


def adjustments(result, connection) -> list[str]:
    """The adjustment lines, summed per origin period and what they adjust; each in the reporting currency."""
    figures = ("quantity", "precise_amount", "amount")
    mine = defaultdict(lambda: dict.fromkeys(figures, ZERO))
    for line in result.adjustments:
        total = mine[tuple(getattr(line, column) for column in ADJUSTMENT_GRAIN)]
        for figure in figures:
            total[figure] += getattr(line, figure)
    query = f"""
        select {", ".join(ADJUSTMENT_GRAIN)}, sum(quantity) as quantity, sum(precise_amount) as precise_amount,
               sum(amount) as amount
        from billing.invoice_lines where line_type = 'adjustment' group by all"""
    theirs, differences = read(connection, f"({query}) as adjustments", ADJUSTMENT_GRAIN, figures)
    differences += reported_adjustments(result, connection)
    return differences + unequal("adjustments", _telling(mine), _telling(theirs))


def reported_adjustments(result, connection) -> list[str]:
    """Each adjustment line's rate, and its own amount at that rate: how many lines make up one is not fixed."""
    columns = ("fx_rate_date", "fx_rate", "reporting_amount", "reporting_currency_code")
    relation = "(select * from billing.invoice_lines where line_type = 'adjustment') as adjustments"
    theirs, _ = read(connection, relation, ("line_id", "billing_period", "currency_code", "amount"), columns)
    mine = {}
    for key in theirs:
        _, period, currency_code, amount = key
        rate_date, rate = rate_of(result.books_of(period), currency_code, period)
        mine[key] = dict(zip(columns, (rate_date, rate, reported(amount, rate), REPORTING_CURRENCY), strict=True))
    return unequal("adjustments", mine, theirs)


def invoices(result, connection) -> list[str]:
    """billing.invoices: totals, status, and the count of the lines that stand on them in billing.invoice_lines."""
    mine = {
        key: {"amount": amount, "is_final": key[0] in result.final_cutoffs} for key, amount in result.invoices.items()
    }
    grain = ("billing_period", "account_id", "currency_code")
    theirs, differences = read(connection, "billing.invoices", grain, ("amount", "status = 'final' as is_final"))
    query = """
        select billing_period, account_id, currency_code, invoices.line_count, counted.line_count
        from billing.invoices as invoices
        full join (select billing_period, invoice_account_id as account_id, currency_code, count(*) as line_count
                   from billing.invoice_lines group by all) as counted using (billing_period, account_id, currency_code)
        where invoices.line_count is distinct from counted.line_count"""
    miscounted = [
        f"invoices: {row[:3]} says {row[3]} lines, has {row[4]}" for row in connection.execute(query).fetchall()
    ]
    return differences + miscounted + unequal("invoices", _telling(mine), _telling(theirs))


def credit_balances(result, connection) -> list[str]:
    """billing.credit_balances, per credit and period."""
    mine = {}
    for key, balance in result.credit_balances.items():
        mine[tuple(key)] = {figure: getattr(balance, figure) for figure in BALANCE_FIGURES}
        mine[tuple(key)]["is_final"] = key.billing_period in result.final_cutoffs
    columns = (*BALANCE_FIGURES, "status = 'final' as is_final")
    return against(mine, connection, "billing.credit_balances", ("credit_id", "billing_period"), columns)


def allocations(result, connection) -> list[str]:
    """billing.line_allocations, per line, account and SKU; they can only be equal if they sum up to the lines."""
    mine = {tuple(key): {"amount": amount} for key, amount in result.allocations.items()}
    query = """
        select lines.billing_period, line_type, reference_id, parts.account_id, parts.sku,
               parts.allocated_amount as amount
        from billing.line_allocations as parts
        left join billing.invoice_lines as lines using (line_id)"""
    grain = ("billing_period", "line_type", "reference_id", "account_id", "sku")
    theirs, differences = read(connection, f"({query}) as line_allocations", grain, ("amount",))
    return differences + unequal("line_allocations", _telling(mine), _telling(theirs))


def unpriced(result, connection) -> list[str]:
    """billing.unpriced_usage of the periods that are not final, where the warehouse has it."""
    if not has_column(connection, "billing.unpriced_usage", "quantity"):
        return []
    figures = ("unit", "quantity", "event_count")
    mine = _usage_figures(result.unpriced, figures)
    grain = ("billing_period", "account_id", "sku", "metric", "region", "plan_id")
    theirs, differences = read(connection, "billing.unpriced_usage", grain, figures)
    still_open = [
        {key: row for key, row in rows.items() if key[0] not in result.final_cutoffs} for rows in (mine, theirs)
    ]
    return differences + unequal("unpriced_usage", *still_open)


def ledger(result, connection) -> list[str]:
    """finance.ledger_reconciliation; a side that is missing counts as zero."""
    figures = ("billed_amount", "ledger_amount", "difference_amount")
    mine = {tuple(key): {figure: getattr(row, figure) for figure in figures} for key, row in result.ledger.items()}
    columns = tuple(f"coalesce({figure}, 0) as {figure}" for figure in figures)
    grain = ("billing_period", "account_id", "sku", "currency_code")
    theirs, differences = read(connection, "finance.ledger_reconciliation", grain, columns)
    return differences + unequal("ledger_reconciliation", _telling(mine), _telling(theirs))


CHECKS = (
    conservation,
    hourly,
    daily,
    monthly,
    late,
    unattributed,
    lines,
    tiers,
    orphan_tiers,
    adjustments,
    invoices,
    credit_balances,
    allocations,
    unpriced,
    ledger,
)


# --- reading and comparing --------------------------------------------------------------------------------------------


def against(mine: Figures, connection, relation: str, grain: tuple, columns: tuple) -> list[str]:
    """The differences between `mine` and a relation of the warehouse on the same grain."""
    theirs, differences = read(connection, relation, grain, columns)
    return differences + unequal(_short(relation), mine, theirs)


def read(connection, relation: str, grain: tuple, columns: tuple) -> tuple[Figures, list[str]]:
    """grain → figures of a relation, and the grains that occur more than once."""
    rows = connection.execute(f"select {', '.join((*grain, *columns))} from {relation}").fetchall()
    names = [column.rpartition(" as ")[2] for column in columns]
    figures, times_seen = {}, Counter()
    for row in rows:
        key = tuple(_comparable(value) for value in row[: len(grain)])
        figures[key] = dict(zip(names, row[len(grain) :], strict=True))
        times_seen[key] += 1
    return figures, [
        f"{_short(relation)}: {shown(key)} occurs {times} times" for key, times in times_seen.items() if times > 1
    ]


def unequal(name: str, mine: Figures, theirs: Figures) -> list[str]:
    """One sentence per row that only one side has, and per figure that differs."""
    differences = []
    for key in sorted(mine.keys() | theirs, key=lambda key: tuple(str(part) for part in key)):
        if key not in theirs:
            differences.append(f"{name}: {shown(key)} is missing, expected {shown(mine[key].values())}")
        elif key not in mine:
            differences.append(f"{name}: {shown(key)} should not be there: {shown(theirs[key].values())}")
        else:
            for figure, expected in mine[key].items():
                found = theirs[key][figure]
                if found != expected or isinstance(found, float):
                    kind = " (a float)" if isinstance(found, float) else ""
                    differences.append(f"{name}: {shown(key)}: {figure} is {found}{kind}, expected {expected}")
    return differences


def has_column(connection, relation: str, column: str) -> bool:
    """Whether the warehouse has this relation with this column."""
    schema, table = relation.split(".")
    query = "select count(*) from duckdb_columns() where schema_name = ? and table_name = ? and column_name = ?"
    return connection.execute(query, [schema, table, column]).fetchone()[0] > 0


def _usage_figures(usages: dict, figures: tuple) -> Figures:
    return {
        tuple(_comparable(part) for part in key): {figure: getattr(usage, figure) for figure in figures}
        for key, usage in usages.items()
    }


def _tier_figures(pricing_model: str, quantity, unit_price, flat_fee, amount) -> dict:
    figures = {"tier_quantity": quantity, "tier_amount": amount}
    if pricing_model in PRICED_PER_UNIT:
        figures["unit_price"] = unit_price or ZERO
    if pricing_model in WITH_FLAT_FEE:
        figures["flat_fee"] = flat_fee or ZERO
    if pricing_model == "flat":
        del figures["tier_quantity"]
    return figures


def _telling(figures: Figures) -> Figures:
    """Without the rows in which no quantity and no amount is anything but zero."""
    return {
        key: row
        for key, row in figures.items()
        if any(value for name, value in row.items() if name.endswith(("quantity", "amount")))
    }


def _comparable(value):
    """Times without a zone are UTC; both sides then hold them alike."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def shown(values) -> str:
    """The parts of a key or row in one line."""
    return " · ".join(str(value) for value in values)


def _short(relation: str) -> str:
    return relation.rpartition(" as ")[2].rpartition(".")[2]

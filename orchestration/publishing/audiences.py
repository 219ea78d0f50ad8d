"""Who sees what: an allow-list of relations per audience. What does not stand here is not published.

Single events are not: a file would be as large as all of history; billing.line_entries in the warehouse and
`usage explain` show those behind a line. Finance's file holds no PII. Keys that nobody owns are shown, as
they must be traced, but the value of an API key is a credential: of it finance sees the last four characters only.
"""

from dataclasses import dataclass, field, replace

# a SQL expression over the relation's own columns
MASKED_KEY = (
    "case when key_type <> 'api_key' or key_value is null or key_value = '' then key_value "
    "when length(key_value) <= 4 then '…' else '…' || right(key_value, 4) end"
)


@dataclass(frozen=True)
class Relation:
    """One published table.

    `source` is its relation in warehouse.duckdb, `target` its name for readers (default: the same), `columns` those
    shown (default: all), `shown_as` expressions that replace a column's value. `coded` is the relation whose figures a
    view of many rows shows, where there is one: what they are of then stands in the audience's SERIES. `settles`: its rows
    of a closed period stay as they are. Of these two a night publishes what changed (see keeping.py). `gated`: it shows results of gates.
    """

    source: str
    target: str = ""
    columns: tuple[str, ...] = ()
    shown_as: dict[str, str] = field(default_factory=dict)
    coded: str = ""
    settles: bool = False
    gated: bool = False

    @property
    def name(self) -> str:
        return self.target or self.source


UNATTRIBUTED = Relation("usage.unattributed_usage")
# What each pair of numbers in coded figures stands for. Hours and days are most of a file's rows: their texts would take most of its room and
# of a night's publishing.
SERIES = Relation("intermediate.int_usage_series", "usage.usage_series")
SERIES_CODES = ("account_number", "item_id")

# what finance and analysts both see
SHARED = (
    SERIES,
    Relation("usage.usage_daily", coded="intermediate.int_usage_by_date"),
    Relation("usage.usage_monthly", settles=True),
    Relation("usage.late_usage"),
    Relation("billing.invoice_lines", settles=True),
    Relation("billing.invoice_line_tiers", settles=True),
    Relation("billing.invoices"),
    Relation("billing.line_allocations"),
    Relation("billing.credit_balances"),
    Relation("billing.billing_periods"),
    Relation("billing.unpriced_usage"),
    Relation("billing.currencies"),
    Relation(
        "staging.stg_reference__accounts",
        "billing.accounts",
        columns=("account_id", "account_name", "segment", "parent_account_id", "billing_timezone", "currency_code"),
    ),
    Relation(
        "staging.stg_reference__skus",
        "billing.skus",
        columns=("sku", "metric", "sku_name", "service_name", "service_category", "billable"),
    ),
    Relation("finance.ledger_reconciliation", settles=True),
    Relation("operations.event_conservation"),
    Relation("operations.batches"),
    Relation("operations.gate_results", gated=True),
    Relation("operations.pipeline_slis"),
)

AUDIENCES: dict[str, tuple[Relation, ...]] = {
    "finance": (*SHARED, replace(UNATTRIBUTED, shown_as={"key_value": MASKED_KEY})),
    "analyst": (
        *SHARED,
        UNATTRIBUTED,
        Relation("usage.usage_hourly", coded="intermediate.int_usage_by_hour"),
        Relation("usage.held_usage"),
    ),
}


def place(audience: str, relation: Relation) -> tuple[str, str]:
    """(schema, table) of a relation in the audience's file.

    In a file named finance.duckdb a schema `finance` would make `finance.ledger_reconciliation` ambiguous between the
    catalog and the schema, and DuckDB refuses it; in schema `main` the same words are found as catalog and table.
    """
    schema, table = relation.name.split(".")
    return ("main" if schema == audience else schema), table

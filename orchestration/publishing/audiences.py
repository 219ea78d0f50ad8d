"""Who sees what: an allow-list of relations per audience. What does not stand here is not published.

Finance's file holds no event-level data and no PII. Keys that nobody owns are shown, as they must be traced, but the
value of an API key is a credential: of it finance sees the last four characters only.
"""

from dataclasses import dataclass, field, replace

# a SQL expression over the relation's own columns
MASKED_KEY = (
    "case when key_type <> 'api_key' or key_value is null or key_value = '' then key_value "
    "when length(key_value) <= 4 then '…' else '…' || right(key_value, 4) end"
)
# the decisions in force, of the ledger of decisions: those never reversed, and of the others what entries and reversals
# leave over. Only the few that were ever reversed are grouped.
DECISIONS_IN_FORCE = """
    with reversed as (
        select distinct landed_batch_id, file_order, row_number from {source} where entry = -1
    ),

    never_reversed as (
        select * exclude (entry) from {source} anti join reversed using (landed_batch_id, file_order, row_number)
    ),

    left_over as (
        select max(batch_id) filter (entry = 1) as batch_id, columns(* exclude (batch_id, entry))
        from {source} semi join reversed using (landed_batch_id, file_order, row_number)
        group by all
        having sum(entry) = 1
    )

    select * from never_reversed union all by name select * from left_over
"""


@dataclass(frozen=True)
class Relation:
    """One published table.

    `source` is its relation in warehouse.duckdb, `target` its name for readers (default: the same), `query` the rows
    (`{source}` stands for the relation), `columns` those shown (default: all), `shown_as` expressions that replace a
    column's value. An `optional` relation may be missing from the warehouse.
    """

    source: str
    target: str = ""
    query: str = "select * from {source}"
    columns: tuple[str, ...] = ()
    shown_as: dict[str, str] = field(default_factory=dict)
    optional: bool = False

    @property
    def name(self) -> str:
        return self.target or self.source


UNATTRIBUTED = Relation("usage.unattributed_usage")

# what finance and analysts both see
SHARED = (
    Relation("usage.usage_daily"),
    Relation("usage.usage_monthly"),
    Relation("usage.late_usage"),
    Relation("billing.invoice_lines"),
    Relation("billing.invoice_line_tiers"),
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
    Relation("finance.ledger_reconciliation"),
    Relation("operations.event_conservation"),
    Relation("operations.batches"),
    Relation("operations.gate_results"),
    Relation("operations.pipeline_slis"),
)

AUDIENCES: dict[str, tuple[Relation, ...]] = {
    "finance": (*SHARED, replace(UNATTRIBUTED, shown_as={"key_value": MASKED_KEY})),
    "analyst": (
        *SHARED,
        UNATTRIBUTED,
        Relation("usage.usage_hourly"),
        Relation("usage.held_usage"),
        Relation("intermediate.int_events_attributed", "usage.usage_events", query=DECISIONS_IN_FORCE, optional=True),
    ),
}


def place(audience: str, relation: Relation) -> tuple[str, str]:
    """(schema, table) of a relation in the audience's file.

    In a file named finance.duckdb a schema `finance` would make `finance.ledger_reconciliation` ambiguous between the
    catalog and the schema, and DuckDB refuses it; in schema `main` the same words are found as catalog and table.
    """
    schema, table = relation.name.split(".")
    return ("main" if schema == audience else schema), table

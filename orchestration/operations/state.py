"""The state of the house in one read: batches, periods with their totals, last gates and gap, service levels, and paths to open next."""

from typing import Any

from orchestration import warehouse
from orchestration.settings import Settings

# What `usage status` shows, as a table of queries on the marts.
QUERIES = {
    "batches": """
        select b.batch_id, b.landed_at, b.files, b.rejected_files, b.records, b.rejected, b.replayed,
            c.duplicates, c.held, c.unattributed, c.attributed, c.difference
        from operations.batches as b
        inner join operations.event_conservation as c on b.batch_id = c.batch_id
        order by b.batch_id
    """,
    "periods": """
        with totals as (
            select billing_period, string_agg(currency_code || ' ' || total::varchar, ', ' order by currency_code) as billed
            from (
                select billing_period, currency_code, sum(amount)::decimal(38, 2) as total
                from billing.invoices group by all
            )
            group by all
        ),
        gaps as (
            select billing_period, max(gap) as gap
            from (
                select billing_period, currency_code,
                    100 * sum(abs(difference_amount)) / nullif(sum(abs(ledger_amount)), 0) as gap
                from finance.ledger_reconciliation group by all
            )
            group by all
        ),
        last_gates as (
            select billing_period,
                count(*) filter (passed)::varchar || '/' || count(*)::varchar || ' passed'
                    || if(count(*) filter (not passed and waived) > 0, ', ' || count(*) filter (not passed and waived) || ' waived', '') as gates
            from (
                select * from operations.gate_results
                qualify row_number() over (partition by gate, billing_period order by cutoff_batch_id desc, checked_at desc) = 1
            )
            group by all
        )
        select p.billing_period, p.status, t.billed, g.gates, round(a.gap, 3)::varchar || ' %' as gap, p.cutoff_batch_id, p.finalized_at
        from billing.billing_periods as p
        left join totals as t on p.billing_period = t.billing_period
        left join last_gates as g on p.billing_period = g.billing_period
        left join gaps as a on p.billing_period = a.billing_period
        order by p.billing_period
    """,
    "slis": """
        select sli, sli_date, value, target, met from operations.pipeline_slis
        qualify row_number() over (partition by sli order by sli_date desc) = 1
        order by sli
    """,
}


def status(settings: Settings) -> dict[str, Any]:
    """Batches, periods, last gates and SLIs as lists of rows (column → value), and the paths to open next.

    The gap shown is Σ|difference| / Σ|ledger| in percent, of the currency where it is greatest: for reading, not for deciding.
    """
    with warehouse.read(settings) as connection:
        state: dict[str, Any] = {name: warehouse.rows(connection, query) for name, query in QUERIES.items()}
    state["paths"] = [str(path) for path in paths_to_open(settings)]
    return state


def paths_to_open(settings: Settings) -> list[Any]:
    """What a person opens after a run: published files, receipts, the gates' page; those that exist."""
    candidates = [
        *sorted(settings.published.glob("*.duckdb")),
        *sorted(settings.finalized.glob("period=*/receipt.json")),
        settings.gates / "index.html",
    ]
    return [path for path in candidates if path.exists()]

"""The relations that gates read, each cut down to the scope in one place: nobody else filters by period or cutoff.

A gate imports a relation by its key here; only the relations that a gate names are bound, so that a mart which is
missing breaks the gates that need it and no others.
"""

OF_PERIOD = "select r.* from {relation} as r, scope where r.billing_period = scope.billing_period"
OF_PERIODS_DAYS = (
    "select r.* from {relation} as r, scope"
    " where r.billing_date >= scope.first_date and r.billing_date < scope.next_date"
)
OF_DAYS = (
    "select r.* from {relation} as r, scope"
    " where r.billing_date >= scope.from_date and r.billing_date < scope.until_date"
)
OF_DAYS_BY_THEN = OF_DAYS + " and r.batch_id <= scope.cutoff_batch_id"
UNTIL_PERIOD = "select r.* from {relation} as r, scope where r.billing_period <= scope.billing_period"
KNOWN_BY_THEN = "select r.* from {relation} as r, scope where r.batch_id <= scope.cutoff_batch_id"
WHOLE = "select * from {relation}"
# what numbers stand for: an item and an account have the number of their first kind and holder
ITEMS = "select kind_id as item_id, metric, billed_sku as sku, region from {relation}"
HOLDERS = "select holder_id as account_number, resolved_account_id as account_id from {relation}"

SHAPED = (
    ("batches", "operations.batches", KNOWN_BY_THEN),
    ("event_conservation", "operations.event_conservation", KNOWN_BY_THEN),
    ("postings", "intermediate.int_usage_postings", OF_DAYS_BY_THEN),
    ("usage_hourly", "usage.usage_hourly", OF_DAYS),
    ("usage_daily", "usage.usage_daily", OF_DAYS),
    # what the three before show, with numbers in the place of texts, and what the numbers stand for
    ("coded_postings", "intermediate.int_usage_posted", OF_DAYS_BY_THEN),
    ("coded_hours", "intermediate.int_usage_by_hour", OF_DAYS),
    ("coded_days", "intermediate.int_usage_by_date", OF_DAYS),
    ("items", "intermediate.int_kinds_decided", ITEMS),
    ("holders", "intermediate.int_holders_decided", HOLDERS),
    ("usage_daily_of_period", "usage.usage_daily", OF_PERIODS_DAYS),
    ("usage_monthly", "usage.usage_monthly", OF_PERIOD),
    ("unpriced_usage", "billing.unpriced_usage", OF_PERIOD),
    ("unpriced_until_now", "billing.unpriced_usage", UNTIL_PERIOD),
    ("invoice_lines", "billing.invoice_lines", OF_PERIOD),
    ("all_invoice_lines", "billing.invoice_lines", WHOLE),
    ("invoice_line_tiers", "billing.invoice_line_tiers", WHOLE),
    ("invoices", "billing.invoices", OF_PERIOD),
    ("currencies", "billing.currencies", WHOLE),
    ("reconciliation", "finance.ledger_reconciliation", OF_PERIOD),
    ("accounts", "staging.stg_reference__accounts", WHOLE),
    ("metrics", "staging.stg_reference__metrics", WHOLE),
    ("skus", "staging.stg_reference__skus", WHOLE),
    ("finance_ledger", "staging.stg_reference__finance_ledger", OF_PERIOD),
)
RELATIONS: dict[str, str] = {key: shape.format(relation=relation) for key, relation, shape in SHAPED}
# those of which the scope says which days are to be looked at
TO_LOOK_AT = frozenset(key for key, _, shape in SHAPED if shape in (OF_DAYS, OF_DAYS_BY_THEN))

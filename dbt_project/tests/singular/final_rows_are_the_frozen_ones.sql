-- Failure it prevents: a line, a tier of it, or a row of the reconciliation, of a closed period that is not in its receipt, or a frozen one that is missing.
-- Rule 20: final is final.
{%- set columns = {
    'invoice_lines': 'line_id, billing_period, quantity, precise_amount, amount',
    'invoice_line_tiers': 'line_id, billing_period, tier_number, tier_quantity, unit_price, flat_fee, rate_percent, tier_amount',
    'ledger_reconciliation': 'billing_period, account_id, sku, currency_code, billed_amount, ledger_amount, difference_amount, status, cause'
} %}
{%- for mart, shown in columns.items() %}
select '{{ mart }}' as mart, concat_ws(' ', {{ shown }}) as row_text, sum(copies) as surplus
from (
    select {{ shown }}, 1 as copies
    from {{ ref(mart) }}
    where billing_period in (select billing_period from {{ ref('stg_finalized__receipts') }}) and {{ untested('close') }}
    union all
    select {{ shown }}, -1 from {{ ref('stg_finalized__' ~ mart) }} where {{ untested('close') }}
)
group by {{ shown }}
having sum(copies) <> 0
{{ 'union all' if not loop.last }}
{%- endfor %}

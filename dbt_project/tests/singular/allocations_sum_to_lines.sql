-- Failure it prevents: a cent of a minimum or a credit that no account and no SKU bears, or that two bear.
with allocated as (
    select line_id, sum(allocated_amount) as allocated_amount from {{ ref('line_allocations') }} group by line_id
),

account_lines as (
    select line_id, amount from {{ ref('invoice_lines') }} where line_type in ('minimum', 'credit')
)

select line_id, amount, allocated_amount
from account_lines
full outer join allocated using (line_id)
where amount is distinct from allocated_amount

-- Failure it prevents: a line that nobody can retrace, because its tiers come to another sum. Every line of every type has tiers, and they are all of it.
with tiers as (
    select line_id, sum(tier_amount) as tiers_amount from {{ ref('invoice_line_tiers') }} where {{ untested('period') }} group by line_id
),

lines as (
    select line_id, precise_amount from {{ ref('invoice_lines') }} where {{ untested('period') }}
)

select line_id, precise_amount, tiers_amount
from lines
full outer join tiers using (line_id)
where precise_amount is distinct from tiers_amount

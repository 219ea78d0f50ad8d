-- Failure it prevents: a line of a closed period that is not in its receipt, or a frozen one that is missing. Rule 20: final is final.
with marts as (
    select line_id, billing_period, quantity, precise_amount, amount from {{ ref('invoice_lines') }}
    where billing_period in (select billing_period from {{ ref('stg_finalized__receipts') }})
),

frozen as (
    select line_id, billing_period, quantity, precise_amount, amount from {{ ref('stg_finalized__invoice_lines') }}
)

(select * from marts except select * from frozen)
union all
(select * from frozen except select * from marts)

-- The ledger's entries that are usage of an account, with their billing period.
{{ config(materialized='view') }}

with entries as (
    select * from {{ ref('int_events_attributed') }} where outcome = 'attributed' and event_weight <> 0
)

select
    *,
    strftime(billing_date, '%Y-%m') as billing_period
from entries

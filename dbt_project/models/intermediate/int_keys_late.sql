-- Accounts' SKUs of closed periods that may no longer be worth what they were at the close: usage of the period landed later, or a change of a level
-- that carries into it.
with postings as (
    select * from {{ ref('int_postings_by_period') }} where is_after_close
),

level_changes as (
    select * from {{ ref('int_level_changes') }}
),

receipts as (
    select * from {{ ref('stg_finalized__receipts') }}
),

keys as (
    select billing_period, account_id, sku from postings
    union
    select receipts.billing_period, level_changes.account_id, level_changes.sku
    from level_changes
    inner join receipts on level_changes.batch_id > receipts.cutoff_batch_id and level_changes.billing_period <= receipts.billing_period
)

select * from keys

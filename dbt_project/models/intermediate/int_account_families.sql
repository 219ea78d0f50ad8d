-- Each account with the account that gets its invoice (its topmost ancestor, else itself), how deep it stands below it, and its members: itself and
-- all accounts below it, whose lines its commitments and credits are for.
with ancestors as (
    select * from {{ ref('int_account_ancestors') }}
),

invoiced as (
    select
        account_id,
        arg_max(ancestor_account_id, distance) as invoice_account_id,
        max(distance)::integer as depth
    from ancestors
    group by account_id
),

membered as (
    select ancestor_account_id as account_id, list(account_id order by account_id) as member_account_ids
    from ancestors
    group by ancestor_account_id
)

select invoiced.*, membered.member_account_ids
from invoiced
inner join membered on invoiced.account_id = membered.account_id

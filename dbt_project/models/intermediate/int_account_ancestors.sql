-- Who stands above whom: each account with itself and all its parents, as far up as they are accounts. An account's topmost ancestor gets its
-- invoice. (A file in which parents run in a circle does not land.)
{{ config(materialized='view') }}

with recursive accounts as (
    select account_id, parent_account_id from {{ ref('stg_reference__accounts') }}
),

ancestors as (
    select account_id, account_id as ancestor_account_id, 0 as distance
    from accounts
    union all
    select ancestors.account_id, parents.account_id, ancestors.distance + 1
    from ancestors
    inner join accounts as children on ancestors.ancestor_account_id = children.account_id
    inner join accounts as parents on children.parent_account_id = parents.account_id
)

select * from ancestors

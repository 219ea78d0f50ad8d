-- Whose usage a key stands for: the keys that events carry, in order of precedence, on both time axes. An account_id is a key for itself.
with accounts as (
    select
        account_id,
        coalesce(billing_timezone, 'UTC') as billing_timezone,
        known_from_batch,
        known_to_batch
    from {{ ref('stg_reference__accounts_known') }}
),

keys as (
    select * from {{ ref('stg_reference__attribution_keys_known') }}
),

-- a key whose owner is not (yet) an account resolves to nobody
mapped as (
    select
        keys.key_type,
        keys.key_value,
        keys.account_id,
        accounts.billing_timezone,
        coalesce(keys.valid_from, '-infinity'::timestamp) as valid_from,
        coalesce(keys.valid_to, 'infinity'::timestamp) as valid_to,
        greatest(keys.known_from_batch, accounts.known_from_batch) as known_from_batch,
        least(keys.known_to_batch, accounts.known_to_batch) as known_to_batch
    from keys
    inner join accounts on keys.account_id = accounts.account_id
    where greatest(keys.known_from_batch, accounts.known_from_batch) < least(keys.known_to_batch, accounts.known_to_batch)
),

own as (
    select
        'account_id' as key_type,
        account_id as key_value,
        account_id,
        billing_timezone,
        '-infinity'::timestamp as valid_from,
        'infinity'::timestamp as valid_to,
        known_from_batch,
        known_to_batch
    from accounts
),

known as (
    select * from own
    union all
    select * from mapped
)

select * from known

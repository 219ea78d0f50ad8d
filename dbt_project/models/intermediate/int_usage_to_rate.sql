-- The usage that is rated, per scenario and billing date. `billed` is what lines of periods that are not closed rest on. The others answer a
-- question about some of its lines, and hold only what differs: `known` (all that is known of an account's SKU with late usage in a closed period,
-- for adjustments), `known_to_ledger` (without what came after finance booked it), `with_duplicates` (as if duplicates counted), `with_unattributed` (with
-- the usage of keys that stand for the account at another time only, which finance may have booked by its own list).
with postings as (
    select * from {{ ref('int_postings_by_period') }}
),

entries as (
    select
        *,
        strftime(billing_date, '%Y-%m') as billing_period
    from {{ ref('int_events_attributed') }}
),

periods as (
    select * from {{ ref('int_periods_dated') }}
),

attribution_keys as (
    select
        key_type,
        key_value,
        account_id,
        coalesce(valid_from, '-infinity'::timestamp) as valid_from,
        coalesce(valid_to, 'infinity'::timestamp) as valid_to
    from {{ ref('stg_reference__attribution_keys') }}
),

accounts as (
    select account_id, coalesce(billing_timezone, 'UTC') as billing_timezone from {{ ref('stg_reference__accounts') }}
),

ledger as (
    select billing_period, account_id, sku, max(posted_at) as posted_at
    from {{ ref('stg_reference__finance_ledger') }}
    group by all
),

billed as (
    select
        'billed' as scenario,
        postings.billing_period, account_id, metric, sku, region, unit, billing_date, quantity, event_count
    from postings
    inner join periods on postings.billing_period = periods.billing_period
    where periods.status <> 'final'
),

late_keys as (
    select distinct billing_period, account_id, sku from postings where is_after_close
),

known as (
    select
        'known' as scenario,
        billing_period, account_id, metric, sku, region, unit, billing_date, quantity, event_count
    from postings
    semi join late_keys using (billing_period, account_id, sku)
),

came_after_ledger as (
    select
        entries.billing_period, entries.account_id, entries.metric, entries.sku, entries.region, entries.unit, entries.billing_date,
        -entries.entry * entries.quantity as quantity,
        -entries.entry as event_count
    from entries
    inner join periods on entries.billing_period = periods.billing_period and periods.status <> 'final'
    inner join ledger
        on entries.billing_period = ledger.billing_period and entries.account_id = ledger.account_id and entries.sku = ledger.sku
        and entries.ingested_ts > ledger.posted_at
    where entries.outcome = 'attributed'
),

known_to_ledger as (
    select 'known_to_ledger' as scenario, billed.* exclude (scenario)
    from billed
    semi join came_after_ledger using (billing_period, account_id, sku)
    union all
    select 'known_to_ledger' as scenario, * from came_after_ledger
),

duplicates as (
    select
        entries.billing_period, account_id, metric, sku, region, unit, billing_date,
        entry * quantity as quantity,
        entry as event_count
    from entries
    inner join periods on entries.billing_period = periods.billing_period and periods.status <> 'final'
    where outcome = 'duplicate' and account_id is not null
),

with_duplicates as (
    select 'with_duplicates' as scenario, billed.* exclude (scenario)
    from billed
    semi join duplicates using (billing_period, account_id, sku)
    union all
    select 'with_duplicates' as scenario, * from duplicates
),

-- whom the key stood for last before the event, else first after it
unattributed as (
    select
        accounts.account_id, entries.metric, entries.sku, entries.region, entries.unit,
        timezone(accounts.billing_timezone, timezone('UTC', entries.event_ts))::date as billing_date,
        entries.entry * entries.quantity as quantity,
        entries.entry as event_count
    from entries
    inner join attribution_keys on entries.key_type = attribution_keys.key_type and entries.key_value = attribution_keys.key_value
    inner join accounts on attribution_keys.account_id = accounts.account_id
    where entries.outcome = 'unattributed'
    qualify row_number() over (
        partition by entries.landed_batch_id, entries.file_order, entries.row_number, entries.batch_id, entries.entry
        order by
            attribution_keys.valid_to <= entries.event_ts desc,
            if(attribution_keys.valid_to <= entries.event_ts, attribution_keys.valid_to, null) desc,
            attribution_keys.valid_from
    ) = 1
),

unattributed_of_period as (
    select periods.billing_period, unattributed.*
    from unattributed
    inner join periods on strftime(unattributed.billing_date, '%Y-%m') = periods.billing_period and periods.status <> 'final'
),

with_unattributed as (
    select 'with_unattributed' as scenario, billed.* exclude (scenario)
    from billed
    semi join unattributed_of_period using (billing_period, account_id, sku)
    union all
    select 'with_unattributed' as scenario, * from unattributed_of_period
),

scenarios as (
    select * from billed
    union all
    select * from known
    union all
    select * from known_to_ledger
    union all
    select * from with_duplicates
    union all
    select * from with_unattributed
),

summed as (
    select
        scenario, billing_period, account_id, metric, sku, region, unit, billing_date,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count
    from scenarios
    group by all
    having sum(event_count) <> 0
)

select * from summed

-- Figures of a whole period that do not add up from days, in the scenarios of int_usage_to_rate that differ from what is shown: `known`,
-- `known_to_ledger`, `with_duplicates`. Of the latter two only keys that they touch.
with entries as (
    select * exclude (outcome) from {{ ref('int_entries_counted') }} where {{ aggregates_by('aggregation', 'recomputed') }}
),

duplicates as (
    select
        * exclude (outcome),
        strftime(billing_date, '%Y-%m') as billing_period
    from {{ ref('int_events_attributed') }}
    where outcome = 'duplicate' and event_weight <> 0 and account_id is not null and {{ aggregates_by('aggregation', 'recomputed') }}
),

receipts as (
    select * from {{ ref('stg_finalized__receipts') }}
),

late as (
    select * from {{ ref('int_keys_late') }}
),

ledger as (
    select billing_period, account_id, sku, max(posted_at) as posted_at
    from {{ ref('stg_reference__finance_ledger') }}
    group by all
),

of_open_periods as (
    select * from entries where billing_period not in (select billing_period from receipts)
),

known as (
    select 'known' as scenario, entries.*
    from entries
    inner join receipts on entries.billing_period = receipts.billing_period
    semi join late on entries.billing_period = late.billing_period and entries.account_id = late.account_id and entries.sku = late.sku
),

came_after_ledger as (
    select distinct of_open_periods.billing_period, of_open_periods.account_id, of_open_periods.sku
    from of_open_periods
    inner join ledger
        on of_open_periods.billing_period = ledger.billing_period and of_open_periods.account_id = ledger.account_id
        and of_open_periods.sku = ledger.sku and of_open_periods.ingested_ts > ledger.posted_at
),

known_to_ledger as (
    select 'known_to_ledger' as scenario, of_open_periods.*
    from of_open_periods
    inner join ledger using (billing_period, account_id, sku)
    semi join came_after_ledger using (billing_period, account_id, sku)
    where of_open_periods.ingested_ts <= ledger.posted_at
),

with_duplicates as (
    select 'with_duplicates' as scenario, *
    from (from of_open_periods union all by name from duplicates)
    semi join duplicates using (billing_period, account_id, sku)
    semi join ledger using (billing_period, account_id, sku)
    where billing_period not in (select billing_period from receipts)
),

scenarios as (
    select * from known
    union all by name
    select * from known_to_ledger
    union all by name
    select * from with_duplicates
),

standing as (
    {{ standing('scenarios', ['scenario']) | indent(4) }}
),

figures as (
    {{ figures('standing', ['scenario', 'billing_period'], microseconds_between("billing_period || '-01'", "(strptime(billing_period || '-01', '%Y-%m-%d') + interval 1 month)", 'calendar_zone') ~ ' // 300000000') | indent(4) }}
),

counts as (
    select scenario, billing_period, account_id, metric, sku, region, unit, count(*) as event_count
    from standing
    group by all
)

select
    figures.* exclude (dated_on, aggregation),
    figures.dated_on as billing_date,
    counts.event_count
from figures
inner join counts using (scenario, billing_period, account_id, metric, sku, region, unit)

-- Every billing period there is: those with usage (or a level that is not zero), those that are closed, the one after the last closed (it takes the adjustments), and the one that
-- is running; with its end and its state. `is_billed`: what needs no usage (flat prices, fees, subscriptions, minimums) is due. That is every period
-- in which anybody has usage, and a gap between two of them, unless it is longer than three years: that is no pause but one event with a clock that is
-- off, and would open hundreds of months. Where nobody has used anything yet: every month from the first plan, subscription or commitment on.
with recursive dates as (
    select distinct billing_date from {{ ref('int_usage_posted') }}
    union
    -- a level is usage in every month that it carries into
    select distinct billing_date from {{ ref('int_usage_by_date') }}
    where item_id in (select item_id from {{ ref('int_kinds_decided') }} where {{ aggregates_by('aggregation', 'level') }})
),

usage as (
    select distinct strftime(billing_date, '%Y-%m') as billing_period from dates
),

receipts as (
    select * from {{ ref('stg_finalized__receipts') }}
),

accounts as (
    select distinct coalesce(billing_timezone, 'UTC') as billing_timezone from {{ ref('stg_reference__accounts') }}
    union
    select 'UTC'
),

agreements as (
    select min(valid_from) as valid_from from {{ ref('stg_reference__account_plans') }}
    union all
    select min(valid_from) from {{ ref('stg_reference__subscriptions') }}
    union all
    select min(valid_from) from {{ ref('stg_reference__commitments') }}
),

unused as (
    select date_trunc('month', min(valid_from))::date as first_date
    from agreements
    where not exists (select 1 from usage)
    having min(valid_from) <= {{ as_of() }}
    union all
    select (first_date + interval 1 month)::date from unused
    where first_date + interval 1 month <= {{ as_of() }}
),

followed as (
    select
        (billing_period || '-01')::date as first_date,
        lead((billing_period || '-01')::date) over (order by billing_period) as next_used_date
    from usage
),

paused as (
    select (first_date + interval 1 month)::date as first_date, next_used_date
    from followed
    where first_date + interval 1 month < next_used_date and next_used_date <= first_date + interval 37 month
    union all
    select (first_date + interval 1 month)::date, next_used_date from paused
    where first_date + interval 1 month < next_used_date
),

billed as (
    select billing_period from usage
    union
    select strftime(first_date, '%Y-%m') from paused
    union
    select strftime(first_date, '%Y-%m') from unused
),

periods as (
    select billing_period from billed
    union
    select billing_period from receipts
    union
    select strftime((max(billing_period) || '-01')::date + interval 1 month, '%Y-%m') from receipts having count(*) > 0
    union
    select strftime({{ as_of() }}, '%Y-%m')
),

ended as (
    select
        periods.billing_period,
        -- the period is over when it is over for the last account
        max(timezone('UTC', timezone(
            accounts.billing_timezone,
            (strptime(periods.billing_period || '-01', '%Y-%m-%d') + interval 1 month)::timestamp
        ))) as ended_at
    from periods
    cross join accounts
    group by periods.billing_period
),

dated as (
    select
        ended.billing_period,
        (ended.billing_period || '-01')::date as first_date,
        ((ended.billing_period || '-01')::date + interval 1 month)::date as next_first_date,
        ended.ended_at,
        ended.billing_period in (select billing_period from usage) as has_usage,
        ended.billing_period in (select billing_period from billed) as is_billed,
        case
            when receipts.billing_period is not null then 'final'
            when {{ as_of() }} >= ended.ended_at then 'provisional'
            else 'open'
        end as status,
        receipts.cutoff_batch_id,
        receipts.finalized_at,
        receipts.receipt_sha256
    from ended
    left join receipts on ended.billing_period = receipts.billing_period
)

select * from dated

-- Levels (time_weighted, weighted_sum) integrated over time, exactly: per hour and local date, as whole numbers of unit × microseconds, so that
-- hours sum to days and days to months without a rounding. `shown`: what the marts show, of a closed period as known at its close, of another
-- until now; `known`: all that is known of closed periods in which something changed since, for adjustments. A level carries over hours without
-- events, so rows exist wherever it is not zero; all of it in periods that are not closed is computed in every run, because now moves on.
{{ config(
    materialized='incremental', incremental_strategy='append',
    pre_hook="{{ forget_levels('billing_period', \"or knowledge = 'known'\") }}"
) }}
{%- set series = ['account_id', 'metric', 'sku', 'region', 'unit', 'aggregation', 'calendar_zone'] -%}
{%- set keys = ['knowledge', 'closed_period'] + series -%}
{%- set keys = keys | join(', ') -%}
{%- set month_after = "((strptime(PERIOD || '-01', '%Y-%m-%d') + interval 1 month)::date)" %}

with entries as (
    select * from {{ ref('int_level_changes') }}
),

receipts as (
    select * from {{ ref('stg_finalized__receipts') }}
),

late as (
    select * from {{ ref('int_keys_late') }}
),

-- what a timeline of levels knows (entries up to a batch), and from when to when it is looked at
scopes as (
    select
        'shown' as knowledge,
        '' as closed_period,
        9223372036854775807::bigint as cutoff_batch_id,
        null::date as first_date,
        null::date as next_first_date
    union all
    select
        'known',
        '',
        9223372036854775807,
        min(billing_period || '-01')::date,
        {{ month_after | replace('PERIOD', 'max(billing_period)') }}
    from late
    having count(*) > 0
    {%- if not is_incremental() %}
    union all
    select
        'shown',
        billing_period,
        cutoff_batch_id,
        (billing_period || '-01')::date,
        {{ month_after | replace('PERIOD', 'billing_period') }}
    from receipts
    {%- endif %}
),

scoped as (
    select entries.*, scopes.knowledge, scopes.closed_period
    from entries
    inner join scopes
        on entries.batch_id <= scopes.cutoff_batch_id and (scopes.next_first_date is null or entries.billing_date < scopes.next_first_date)
    where scopes.knowledge = 'shown' or (entries.account_id, entries.sku) in (select (account_id, sku) from late)
),

standing as (
    {{ standing('scoped', ['knowledge', 'closed_period']) | indent(4) }}
),

-- what sets a level changes it by the difference from the one before; of several at one instant the last counts
level_set as (
    select *
    from standing
    where aggregation = 'time_weighted'
    qualify row_number() over (
        partition by {{ keys }}, distinct_value, event_ts
        order by ingested_ts desc, landed_batch_id desc, file_order desc, row_number desc
    ) = 1
),

changes as (
    select
        {{ keys }},
        event_ts,
        quantity - lag(quantity, 1, 0::decimal(38, 9)) over (partition by {{ keys }}, distinct_value order by event_ts) as change
    from level_set
    union all
    select {{ keys }}, event_ts, quantity
    from standing
    where aggregation = 'weighted_sum'
),

stepped as (
    select {{ keys }}, event_ts, sum(change)::decimal(38, 9) as change
    from changes
    group by all
),

levels as (
    select
        {{ keys }},
        event_ts as since,
        coalesce(lead(event_ts) over series, 'infinity'::timestamp) as until,
        (sum(change) over series)::decimal(38, 9) as level
    from stepped
    window series as (partition by {{ keys }} order by event_ts)
),

-- the bounds of a scope on a calendar
bounds as (
    select
        zones.calendar_zone,
        scopes.knowledge,
        scopes.closed_period,
        coalesce({{ starts_at('scopes.first_date', 'zones.calendar_zone') }}, '-infinity'::timestamp) as starts_at,
        coalesce({{ starts_at('scopes.next_first_date', 'zones.calendar_zone') }}, {{ as_of() }}::timestamp) as ends_at
    from scopes
    cross join (select distinct calendar_zone from entries) as zones
),

bounded as (
    select levels.* replace (greatest(levels.since, bounds.starts_at) as since, least(levels.until, bounds.ends_at) as until)
    from levels
    inner join bounds using (calendar_zone, knowledge, closed_period)
    where levels.level <> 0 and greatest(levels.since, bounds.starts_at) < least(levels.until, bounds.ends_at)
),

in_months as (
    select
        *,
        unnest(generate_series(
            date_trunc('month', timezone(calendar_zone, timezone('UTC', since))),
            date_trunc('month', timezone(calendar_zone, timezone('UTC', until - interval 1 microsecond))),
            interval 1 month
        ))::date as first_date
    from bounded
),

-- of closed periods what was known at the close, and what changed since; of the others all
wanted as (
    select *, strftime(first_date, '%Y-%m') as billing_period
    from in_months
    where case
        when knowledge = 'known' then (strftime(first_date, '%Y-%m'), account_id, sku) in (select (billing_period, account_id, sku) from late)
        when closed_period = '' then strftime(first_date, '%Y-%m') not in (select billing_period from receipts)
        else true
    end
),

months as (
    select
        *,
        {{ starts_at('first_date', 'calendar_zone') }} as starts_at,
        {{ starts_at('first_date + interval 1 month', 'calendar_zone') }} as ends_at
    from (select distinct calendar_zone, billing_period, first_date from wanted)
),

in_hours as (
    select
        wanted.* replace (greatest(wanted.since, months.starts_at) as since, least(wanted.until, months.ends_at) as until),
        unnest(generate_series(
            date_trunc('hour', greatest(wanted.since, months.starts_at)),
            least(wanted.until, months.ends_at) - interval 1 microsecond,
            interval 1 hour
        )) as usage_hour
    from wanted
    inner join months using (calendar_zone, billing_period, first_date)
),

-- an hour may hold a local midnight: each zone's hours are looked at once
hours as (
    select
        *,
        timezone(calendar_zone, timezone('UTC', usage_hour))::date as earlier_date,
        timezone(calendar_zone, timezone('UTC', usage_hour + interval 1 hour - interval 1 microsecond))::date as later_date
    from (select distinct calendar_zone, usage_hour from in_hours)
),

dated_hours as (
    select calendar_zone, usage_hour, earlier_date as billing_date, usage_hour as starts_at, usage_hour + interval 1 hour as ends_at
    from hours
    where earlier_date = later_date
    union all
    select calendar_zone, usage_hour, earlier_date, usage_hour, {{ starts_at('later_date', 'calendar_zone') }}
    from hours
    where earlier_date < later_date
    union all
    select calendar_zone, usage_hour, later_date, {{ starts_at('later_date', 'calendar_zone') }}, usage_hour + interval 1 hour
    from hours
    where earlier_date < later_date
),

pieces as (
    select
        {{ keys }},
        billing_period,
        usage_hour,
        billing_date,
        (epoch_us(least(until, ends_at)) - epoch_us(greatest(since, starts_at)))::hugeint as microseconds,
        trunc(level)::hugeint * microseconds as whole_microseconds,
        ((level - trunc(level)) * 1000000000)::hugeint * microseconds as ninth_microseconds,
        0 as event_count
    from in_hours
    inner join dated_hours using (calendar_zone, usage_hour)
    where greatest(since, starts_at) < least(until, ends_at)
),

events as (
    select
        {{ keys }},
        billing_period,
        usage_hour,
        billing_date,
        0::hugeint as microseconds,
        0::hugeint as whole_microseconds,
        0::hugeint as ninth_microseconds,
        count(*) as event_count
    from standing
    where case
        when knowledge = 'known' then (billing_period, account_id, sku) in (select (billing_period, account_id, sku) from late)
        when closed_period = '' then billing_period not in (select billing_period from receipts)
        else billing_period = closed_period
    end
    group by all
),

summed as (
    select
        {{ keys }},
        billing_period,
        usage_hour,
        billing_date,
        sum(whole_microseconds) as whole_microseconds,
        sum(ninth_microseconds) as ninth_microseconds,
        sum(event_count)::bigint as event_count
    from (from pieces union all from events)
    group by all
),

-- a level that is set is shown in unit-hours; one that is changed as its mean over the true length of the period
lengths as (
    select
        *,
        case aggregation
            when 'time_weighted' then 3600000000::hugeint
            else {{ microseconds_between("billing_period || '-01'", month_after | replace('PERIOD', 'billing_period'), 'calendar_zone') }}
        end as divisor
    from (select distinct aggregation, calendar_zone, billing_period from summed)
),

batches as (
    select {{ keys }}, billing_period, max(batch_id) as batch_id
    from scoped
    group by all
),

-- the last batch that said something about the level up to the end of the period
last_batches as (
    select {{ keys }}, periods.billing_period, max(batches.batch_id) as last_batch_id
    from (select distinct {{ keys }}, billing_period from summed) as periods
    inner join batches using ({{ keys }})
    where batches.billing_period <= periods.billing_period
    group by all
)

select
    summed.knowledge,
    summed.billing_period,
    summed.usage_hour,
    summed.billing_date,
    summed.account_id,
    summed.metric,
    summed.sku,
    summed.region,
    {{ figure_unit('summed.unit', 'aggregation') }} as unit,
    aggregation,
    summed.whole_microseconds,
    summed.ninth_microseconds,
    lengths.divisor,
    summed.event_count,
    last_batches.last_batch_id
from summed
inner join lengths using (aggregation, calendar_zone, billing_period)
inner join last_batches using ({{ keys }}, billing_period)

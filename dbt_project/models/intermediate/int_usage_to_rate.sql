-- The usage that is rated, per scenario and billing date. `billed` is what lines of periods that are not closed rest on. The others answer a
-- question about some of its lines, and hold only what differs: `known` (all that is known of an account's SKU with late usage in a closed period, for
-- adjustments), and where finance has booked something to compare with, `known_to_ledger` (without what came after finance booked it), `with_duplicates`
-- (as if duplicates counted), `with_unattributed` (with the usage of keys that stand for the account at another time only, which finance may have booked
-- by its own list). What sums or counts is rated by the days that are rated alike (billing_date is the first of them), but by day where a scenario changes
-- it. A level is rated by day: each day's share is what the rounded figure of the period so far grows by, so that the shares sum to the period's figure.
-- A figure that does not add up stands on one day of the period. The scenarios for the ledger leave out levels, and unattributed usage that does not add up.
-- A month of days that are rated alike is one row: a thirtieth of the work. A day beyond 10⁹ stands alone, because a price may be too high for it.
{%- set span_of_day %}
        date_trunc('month', billing_date)::date as first_of_period,
        greatest(account_bound, price_bound) as span_from,
        if(abs(quantity) < 1000000000, null, billing_date) as alone_on
{%- endset %}
with periods as (
    select * from {{ ref('int_periods_dated') }}
),

open_periods as (
    select billing_period from periods where status <> 'final'
),

-- dates, so that of closed periods nothing is read
open_dates as (
    select unnest(generate_series(first_date, next_first_date - interval 1 day, interval 1 day))::date as billing_date
    from periods
    where status <> 'final'
),

coded_days as (
    select days.*, accounts.resolved_account_id as account_id
    from {{ ref('int_usage_by_date') }} as days
    inner join open_dates on days.billing_date = open_dates.billing_date
    {{ join_described('days') }}
    where {{ aggregates_by('items.aggregation', 'adding') }}
),

-- the dates on which an account's plan or discounts begin or end, and those of prices: between them days are rated alike
account_bounds as (
    {%- for table in ['account_plans', 'discounts'] %}
    select account_id, valid_from as bound from {{ ref('stg_reference__' ~ table) }} where valid_from is not null
    union
    select account_id, valid_to from {{ ref('stg_reference__' ~ table) }} where valid_to is not null
    {{ 'union' if not loop.last }}
    {%- endfor %}
),

price_bounds as (
    select valid_from as bound from {{ ref('stg_reference__prices') }} where valid_from is not null
    union
    select valid_to from {{ ref('stg_reference__prices') }} where valid_to is not null
),

account_dates as (
    select dates.account_number, dates.billing_date, max(account_bounds.bound) as account_bound
    from (select distinct account_number, account_id, billing_date from coded_days) as dates
    left join account_bounds on dates.account_id = account_bounds.account_id and account_bounds.bound <= dates.billing_date
    group by all
),

price_dates as (
    select dates.billing_date, max(price_bounds.bound) as price_bound
    from (select distinct billing_date from coded_days) as dates
    left join price_bounds on price_bounds.bound <= dates.billing_date
    group by all
),

coded_spans as (
    select
        account_number,
        item_id,
        {{- span_of_day }},
        min(billing_date) as billing_date,
        max(billing_date) as last_billing_date,
        max(abs(quantity)) as largest_day_quantity,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count
    from coded_days
    inner join account_dates using (account_number, billing_date)
    inner join price_dates using (billing_date)
    group by all
),

spans as (
    select
        coded_spans.*,
        strftime(coded_spans.first_of_period, '%Y-%m') as billing_period,
        {{ described_columns() }}
    from coded_spans
    {{ join_described('coded_spans') }}
),

postings as (
    select * from {{ ref('int_postings_by_period') }} where {{ aggregates_by('aggregation', 'adding') }}
),

figures_shown as (
    select * from {{ ref('int_usage_by_period') }} where {{ aggregates_by('aggregation', 'recomputed') }}
),

other_figures as (
    select * from {{ ref('int_figures_to_rate') }}
),

levels as (
    select * from {{ ref('int_levels_by_hour') }}
),

ledger as (
    select billing_period, account_id, sku, max(posted_at) as posted_at
    from {{ ref('stg_reference__finance_ledger') }}
    group by all
),

-- the days of open months of which finance has booked something: of no others events are read, and of none where nothing is booked
booked_dates as (
    select open_dates.billing_date
    from open_dates
    semi join ledger on strftime(open_dates.billing_date, '%Y-%m') = ledger.billing_period
),

{%- for outcome in ['attributed', 'duplicate', 'unattributed'] %}

entries_{{ outcome }} as (
    select
        *,
        strftime(billing_date, '%Y-%m') as billing_period
    from {{ ref('int_events_attributed') }}
    where
        outcome = '{{ outcome }}' and event_weight <> 0 and {{ aggregates_by('aggregation', 'adding') }}
        {# whose date is not known yet may be a day off #}
        {{ "and event_ts::date in (select unnest([billing_date - 1, billing_date, billing_date + 1]) from booked_dates)" if outcome == 'unattributed'
            else "and billing_date in (select billing_date from booked_dates)" }}
),
{%- endfor %}

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

by_day as (
    select
        knowledge, billing_period, account_id, metric, sku, region, unit, billing_date, divisor,
        sum(whole_microseconds) as whole_microseconds,
        sum(ninth_microseconds) as ninth_microseconds,
        sum(event_count)::bigint as event_count
    from levels
    group by all
),

so_far as (
    select
        * exclude (divisor, whole_microseconds, ninth_microseconds),
        {{ divide_split('(sum(whole_microseconds) over days)', '(sum(ninth_microseconds) over days)', 'divisor') }} as quantity_so_far
    from by_day
    window days as (partition by knowledge, billing_period, account_id, metric, sku, region, unit order by billing_date)
),

shares as (
    select
        knowledge, billing_period, account_id, metric, sku, region, unit, billing_date,
        (quantity_so_far - lag(quantity_so_far, 1, 0::decimal(38, 9)) over (
            partition by knowledge, billing_period, account_id, metric, sku, region, unit order by billing_date
        ))::decimal(38, 9) as quantity,
        event_count
    from so_far
),

figures_and_levels as (
    select billing_period, account_id, metric, sku, region, unit, dated_on as billing_date, quantity, event_count, 'figure' as kind from figures_shown
    union all
    select billing_period, account_id, metric, sku, region, unit, billing_date, quantity, event_count, 'level' from shares where knowledge = 'shown'
),

billed as (
    select usage.*
    from (
        select billing_period, account_id, metric, sku, region, unit, billing_date, last_billing_date, largest_day_quantity, quantity, event_count, 'sum' as kind
        from spans
        union all by name
        select * from figures_and_levels
    ) as usage
    inner join open_periods using (billing_period)
),

late_keys as (
    select * from {{ ref('int_keys_late') }}
),

known as (
    select billing_period, account_id, metric, sku, region, unit, billing_date, quantity, event_count, 'sum' as kind
    from postings
    semi join late_keys using (billing_period, account_id, sku)
    union all
    select billing_period, account_id, metric, sku, region, unit, billing_date, quantity, event_count, 'level' from shares where knowledge = 'known'
),

batches as (
    select batch_id, landed_at from {{ ref('stg_lake__batches') }}
),

corrected as (
    select * from {{ ref('int_events_corrected') }}
),

-- what a later batch decided about a correction and its target came with that batch, whenever the record itself had come
decided_by_correction as (
    select records.*, batches.batch_id, batches.landed_at
    from (
        select correction_batch_id, correction_file_order, correction_row_number from corrected
        union
        select target_batch_id, target_file_order, target_row_number from corrected
    ) as records (landed_batch_id, file_order, row_number)
    inner join batches on records.landed_batch_id < batches.batch_id
),

earliest_booking as (
    select min(posted_at) as posted_at from ledger semi join open_periods using (billing_period)
),

-- what came after finance booked any month that is open: few, so that not every event is looked up in the ledger
perhaps_after_ledger as (
    select entries.*, greatest(entries.ingested_ts, decided_by_correction.landed_at) as came_at
    from entries_attributed as entries
    left join decided_by_correction
        on entries.landed_batch_id = decided_by_correction.landed_batch_id and entries.file_order = decided_by_correction.file_order
        and entries.row_number = decided_by_correction.row_number and entries.batch_id = decided_by_correction.batch_id
    where came_at > (select posted_at from earliest_booking)
),

came_after_ledger as (
    select
        entries.billing_period, entries.account_id, entries.metric, entries.sku, entries.region, entries.unit, entries.billing_date,
        -entries.entry * entries.quantity as quantity,
        -entries.entry as event_count
    from perhaps_after_ledger as entries
    inner join periods on entries.billing_period = periods.billing_period and periods.status <> 'final'
    inner join ledger
        on entries.billing_period = ledger.billing_period and entries.account_id = ledger.account_id and entries.sku = ledger.sku
        and entries.came_at > ledger.posted_at
),

duplicates as (
    select
        entries.billing_period, entries.account_id, entries.metric, entries.sku, entries.region, entries.unit, entries.billing_date,
        entries.entry * entries.quantity as quantity,
        entries.entry as event_count
    from entries_duplicate as entries
    inner join periods on entries.billing_period = periods.billing_period and periods.status <> 'final'
    semi join ledger
        on entries.billing_period = ledger.billing_period and entries.account_id = ledger.account_id and entries.sku = ledger.sku
),

-- whom the key stood for last before the event, else first after it
unattributed as (
    select
        accounts.account_id, entries.metric, entries.sku, entries.region, entries.unit,
        timezone(accounts.billing_timezone, timezone('UTC', entries.event_ts))::date as billing_date,
        entries.entry * entries.quantity as quantity,
        entries.entry as event_count
    from entries_unattributed as entries
    inner join attribution_keys on entries.key_type = attribution_keys.key_type and entries.key_value = attribution_keys.key_value
    inner join accounts on attribution_keys.account_id = accounts.account_id
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
    semi join ledger
        on periods.billing_period = ledger.billing_period and unattributed.account_id = ledger.account_id and unattributed.sku = ledger.sku
),

changed as (
    select 'known_to_ledger' as scenario, *, 'sum' as kind from came_after_ledger
    union all
    select 'with_duplicates', *, 'sum' from duplicates
    union all
    select 'with_unattributed', *, 'sum' from unattributed_of_period
    union all by name
    select *, 'figure' as kind from other_figures
),

-- The rest of the usage of accounts' SKUs in which a scenario changes something: days with a change as they are billed, so that usage which is taken
-- back leaves nothing; and spans without these days.
changed_keys as (
    select distinct scenario, billing_period, account_id, sku from changed where scenario <> 'known'
),

changed_days as (
    select distinct changed.scenario, series.account_number, series.item_id, changed.billing_date
    from changed
    inner join (select distinct account_number, item_id, account_id, metric, sku, region, unit from spans) as series
        using (account_id, metric, sku, region, unit)
    where changed.scenario <> 'known'
),

billed_on_changed_days as (
    select
        changed_days.*,
        coded_days.quantity,
        coded_days.event_count,
        {{- span_of_day }}
    from coded_days
    inner join changed_days using (account_number, item_id, billing_date)
    inner join account_dates using (account_number, billing_date)
    inner join price_dates using (billing_date)
),

changed_spans as (
    select
        scenario, account_number, item_id, first_of_period, span_from, alone_on,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count
    from billed_on_changed_days
    group by all
),

rest_of_spans as (
    select
        changed_keys.scenario,
        spans.* replace (
            spans.quantity - coalesce(changed_spans.quantity, 0) as quantity,
            spans.event_count - coalesce(changed_spans.event_count, 0) as event_count
        )
    from spans
    inner join changed_keys using (billing_period, account_id, sku)
    left join changed_spans
        on changed_keys.scenario = changed_spans.scenario and spans.account_number = changed_spans.account_number
        and spans.item_id = changed_spans.item_id and spans.first_of_period = changed_spans.first_of_period
        and spans.span_from is not distinct from changed_spans.span_from and spans.alone_on is not distinct from changed_spans.alone_on
),

unchanged as (
    select scenario, billing_period, account_id, metric, sku, region, unit, billing_date, last_billing_date, largest_day_quantity, quantity, event_count, 'sum' as kind
    from rest_of_spans
    union all by name
    select
        days.scenario,
        strftime(days.billing_date, '%Y-%m') as billing_period,
        {{ described_series() }},
        days.billing_date,
        days.quantity,
        days.event_count,
        'sum' as kind
    from billed_on_changed_days as days
    {{ join_described('days') }}
    union all by name
    select changed_keys.scenario, figures_and_levels.*
    from figures_and_levels
    inner join changed_keys using (billing_period, account_id, sku)
    anti join other_figures
        on figures_and_levels.kind = 'figure' and changed_keys.scenario = other_figures.scenario
        and figures_and_levels.billing_period = other_figures.billing_period
        and figures_and_levels.account_id = other_figures.account_id and figures_and_levels.sku = other_figures.sku
),

scenarios as (
    select 'billed' as scenario, * from billed
    union all by name
    select 'known' as scenario, * from known
    union all by name
    select * from changed
    union all by name
    select * from unchanged
),

summed as (
    select
        scenario, billing_period, account_id, metric, sku, region, unit, billing_date,
        max(coalesce(last_billing_date, billing_date)) as last_billing_date,
        greatest(max(largest_day_quantity), abs(sum(if(largest_day_quantity is null, quantity, null))))::decimal(38, 9) as largest_day_quantity,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count
    from scenarios
    group by scenario, billing_period, account_id, metric, sku, region, unit, billing_date
    -- usage that was taken back leaves nothing to rate; a level is rated on days without events as well
    having sum(event_count) <> 0 or bool_or(kind = 'level')
)

select * from summed

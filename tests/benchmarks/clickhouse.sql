-- The reference's job in ClickHouse's dialect; {names} stand for files. Keys of joins are compared as plain strings: an absent key is ''.
create database if not exists job engine = Atomic;
use job;
set join_use_nulls = 1, allow_nonconst_timezone_arguments = 1, session_timezone = 'UTC', decimal_check_overflow = 1;

create table accounts engine = Memory as
select assumeNotNull(account_id) as account_id, ifNull(billing_timezone, 'UTC') as billing_timezone, currency_code from {accounts};

create table keys engine = Memory as
select 'account_id' as key_type, account_id as key_value, account_id, billing_timezone, null::Nullable(DateTime64(6)) as valid_from, null::Nullable(DateTime64(6)) as valid_to
from accounts
union all
select assumeNotNull(key_type), assumeNotNull(key_value), assumeNotNull(mapped.account_id), billing_timezone, valid_from, valid_to
from {attribution_keys} as mapped inner join accounts on mapped.account_id = accounts.account_id;

select throwIf(count() > 0, 'a key has several owners over time: this job takes one') from (select 1 from keys group by key_type, key_value having count() > 1);
select throwIf(count() > 0, 'an account changes its plan: this job takes one') from (select 1 from {account_plans} group by account_id having count() > 1);

create table conversions engine = Memory as
with units as (
    select assumeNotNull(unit) as name, base_unit, reinterpret(assumeNotNull(factor), 'Int128') as factor from {units}
)
select
    assumeNotNull(metrics.metric) as metric, event_units.name as unit, metrics.default_sku as default_sku, ifNull(metrics.allow_negative, false) as allow_negative,
    assumeNotNull(metrics.unit) as metric_unit, metrics.aggregation = 'count' as is_counted,
    intDiv(event_units.factor, gcd(event_units.factor, metric_units.factor)) as numerator,
    intDiv(metric_units.factor, gcd(event_units.factor, metric_units.factor)) as denominator
from {metrics} as metrics
inner join units as metric_units on assumeNotNull(metrics.unit) = metric_units.name
inner join units as event_units on metric_units.base_unit = event_units.base_unit
where metrics.aggregation in ('sum', 'count');

-- the local date of every quarter of an hour in every zone
create table local_dates engine = Memory as
select
    zone as billing_timezone, quarter_hour, toDate(formatDateTime(quarter_hour, '%F', zone)) as billing_date
from (
    select arrayJoin(range(toUInt32(intDiv(min(toUnixTimestamp(assumeNotNull(event_ts))), 900) * 900), toUInt32(max(toUnixTimestamp(assumeNotNull(event_ts))) + 1), 900))::DateTime as quarter_hour
    from {events}
) as quarters
cross join (select distinct billing_timezone as zone from accounts union distinct select 'UTC') as zones;

-- the first landed record of each identity, its owner, and what it measures
create table events engine = Memory as
with flat as (
    select
        assumeNotNull(event_ts) as event_ts, assumeNotNull(metric) as metric, assumeNotNull(quantity) as quantity, assumeNotNull(unit) as unit, sku,
        account_id, api_key, namespace, resource_id, ifNull(region, 'global') as region
    from {events}
    order by batch, file_order, row_number
    limit 1 by producer, event_id, event_uuid
)
select
    multiIf(a.account_id is not null, a.account_id, in_force_k, k.account_id, in_force_n, n.account_id, in_force_r, r.account_id, null) as owner_id,
    multiIf(
        a.account_id is not null, a.billing_timezone, in_force_k, k.billing_timezone, in_force_n, n.billing_timezone, in_force_r, r.billing_timezone, 'UTC'
    ) as zone,
    ifNull(event_ts >= ifNull(k.valid_from, event_ts) and event_ts < ifNull(k.valid_to, event_ts + 1) and k.account_id is not null, 0) as in_force_k,
    ifNull(event_ts >= ifNull(n.valid_from, event_ts) and event_ts < ifNull(n.valid_to, event_ts + 1) and n.account_id is not null, 0) as in_force_n,
    ifNull(event_ts >= ifNull(r.valid_from, event_ts) and event_ts < ifNull(r.valid_to, event_ts + 1) and r.account_id is not null, 0) as in_force_r,
    multiIf(
        flat.account_id is not null, 'account_id', flat.api_key is not null, 'api_key', flat.namespace is not null, 'namespace',
        flat.resource_id is not null, 'resource_id', 'none'
    ) as key_type,
    coalesce(flat.account_id, flat.api_key, flat.namespace, flat.resource_id) as key_value,
    flat.event_ts as event_ts,
    flat.metric as metric,
    coalesce(flat.sku, conversions.default_sku, flat.metric) as sku,
    flat.region as region,
    conversions.metric_unit as unit,
    multiIf(
        conversions.is_counted, toDecimal128(1, 9),
        conversions.numerator = conversions.denominator, flat.quantity,
        -- half away from zero at the ninth digit, in whole 10⁻⁹ths
        reinterpret(
            intDiv(2 * reinterpret(flat.quantity, 'Int128') * conversions.numerator + conversions.denominator, 2 * conversions.denominator), 'Decimal(38, 9)'
        )
    ) as quantity
from flat
inner join conversions on flat.metric = conversions.metric and flat.unit = conversions.unit
left join (select * from keys where key_type = 'account_id') as a on flat.account_id = a.key_value
left join (select * from keys where key_type = 'api_key') as k on flat.api_key = k.key_value
left join (select * from keys where key_type = 'namespace') as n on flat.namespace = n.key_value
left join (select * from keys where key_type = 'resource_id') as r on flat.resource_id = r.key_value
where flat.quantity >= 0 or conversions.allow_negative;

create table usage_by_minute engine = Memory as
select
    toStartOfMinute(event_ts) as usage_minute, local_dates.billing_date as billing_date, assumeNotNull(owner_id) as account_id, metric, sku, region, unit,
    sum(events.quantity) as quantity, count() as event_count
from events
inner join local_dates on events.zone = local_dates.billing_timezone and toDateTime(toStartOfFifteenMinutes(event_ts)) = local_dates.quarter_hour
where owner_id is not null
group by usage_minute, billing_date, account_id, metric, sku, region, unit;

create table usage_hourly engine = Memory as
select
    toStartOfHour(usage_minute) as usage_hour, billing_date, account_id, metric, sku, region, unit, sum(m.quantity) as quantity, toInt64(sum(m.event_count)) as event_count
from usage_by_minute as m
group by usage_hour, billing_date, account_id, metric, sku, region, unit;

create table usage_daily engine = Memory as
select
    billing_date, account_id, metric, sku, region, unit, sum(m.quantity) as quantity, toInt64(sum(m.event_count)) as event_count, max(m.quantity) as peak_per_minute
from usage_by_minute as m
group by billing_date, account_id, metric, sku, region, unit;

-- percentiles: nearest rank; quantileExact takes the next rank where the share falls on a whole one
create table usage_monthly engine = Memory as
with arraySort(groupArray(m.quantity)) as sorted
select
    formatDateTime(billing_date, '%Y-%m') as billing_period, account_id, metric, sku, region, unit,
    sum(m.quantity) as quantity, toInt64(sum(m.event_count)) as event_count, max(m.quantity) as peak_per_minute,
    sorted[intDiv(50 * length(sorted) + 99, 100)] as p50_per_minute,
    sorted[intDiv(95 * length(sorted) + 99, 100)] as p95_per_minute,
    sorted[intDiv(99 * length(sorted) + 99, 100)] as p99_per_minute
from usage_by_minute as m
group by billing_period, account_id, metric, sku, region, unit;

create table unattributed_usage engine = Memory as
select
    toDate(event_ts) as first_seen_date, key_type, key_value, metric, sku, region, unit, sum(events.quantity) as quantity, toInt64(count()) as event_count
from events
where owner_id is null
group by first_seen_date, key_type, key_value, metric, sku, region, unit;

create table invoice_lines engine = Memory as
with prices as (
    select * from {prices} where model in ('per_unit', 'graduated')
),
exact as (select * from prices where region <> '*'),
everywhere as (select * from prices where region = '*'),
priced as (
    select
        daily.account_id as account_id, daily.sku as sku, daily.region as region, daily.unit as unit, daily.billing_date as billing_date,
        daily.quantity as quantity, accounts.currency_code as currency_code,
        ifNull(daily.billing_date >= ifNull(exact.valid_from, daily.billing_date) and daily.billing_date < ifNull(exact.valid_to, daily.billing_date + 1), 0)
        and exact.price_id is not null as is_exact,
        ifNull(daily.billing_date >= ifNull(everywhere.valid_from, daily.billing_date) and daily.billing_date < ifNull(everywhere.valid_to, daily.billing_date + 1), 0)
        and everywhere.price_id is not null as is_everywhere,
        multiIf(is_exact, exact.price_id, is_everywhere, everywhere.price_id, null) as price_id,
        if(is_exact, exact.model, everywhere.model) as model
    from usage_daily as daily
    inner join accounts on daily.account_id = accounts.account_id
    inner join {account_plans} as plans on daily.account_id = plans.account_id
    left join exact
        on plans.plan_id = exact.plan_id and daily.sku = exact.sku and accounts.currency_code = exact.currency_code and daily.region = exact.region
    left join everywhere
        on plans.plan_id = everywhere.plan_id and daily.sku = everywhere.sku and accounts.currency_code = everywhere.currency_code
    where daily.sku in (select sku from {skus} where billable) and price_id is not null
),
measured as (
    select
        formatDateTime(billing_date, '%Y-%m') as billing_period, account_id, sku, region, unit, price_id, model, currency_code,
        reinterpret(sum(priced.quantity), 'Int128') as ninths
    from priced
    group by billing_period, account_id, sku, region, unit, price_id, model, currency_code
),
tiers as (
    select
        price_id, tier_number, reinterpret(ifNull(unit_price, 0)::Decimal(38, 12), 'Int128') as price,
        -- edges have twelve digits, quantities nine
        intDiv(reinterpret(ifNull(up_to, 0)::Decimal(38, 12), 'Int128'), 1000) as edge, up_to is null as is_last,
        lagInFrame(edge, 1, toInt128(0)) over (partition by price_id order by tier_number rows between unbounded preceding and unbounded following) as above
    from {price_tiers}
),
amounts as (
    select
        billing_period, account_id, sku, region, unit, measured.price_id as price_id, currency_code, ninths,
        sum(intDiv(2 * if(model = 'graduated', if(is_last or ninths < edge, ninths, edge) - above, ninths) * price + 1000000000, 2000000000)) as twelfths
    from measured
    inner join tiers on measured.price_id = tiers.price_id
    where tier_number = 1 or (model = 'graduated' and ninths > above)
    group by billing_period, account_id, sku, region, unit, price_id, currency_code, ninths
)
select
    billing_period, account_id, sku, region, unit, price_id, amounts.currency_code as currency_code, reinterpret(ninths, 'Decimal(38, 9)') as quantity,
    toInt128(transform(assumeNotNull(minor_unit), [0, 2, 3, 4], [1000000000000, 10000000000, 1000000000, 100000000], 0)) as step,
    -- half away from zero at the minor unit, in millionths
    reinterpret(toInt128(intDiv(intDiv(2 * twelfths + step, 2 * step) * step, 1000000)), 'Decimal(38, 6)') as amount
from amounts
inner join {currencies} as currencies on amounts.currency_code = currencies.currency_code

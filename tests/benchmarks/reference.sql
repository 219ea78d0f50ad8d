-- The reference: the whole job as one plain DuckDB script over the lake's files, as a careful analyst writes it who needs the figures and nothing
-- else. Exact, but without history, corrections, sampling, closes or provenance: what it leaves out is only ever in its favour.
-- Variables: `lake` (the home's lake folder) and `currencies` (the seed with the minor units). Quantities are at least zero.
set timezone = 'UTC';

create or replace temp macro landed(name) as table
    select * from read_parquet(getvariable('lake') || '/reference/' || name || '/*/*.parquet', union_by_name = true)
    qualify version = max(version) over ();

create temp table accounts as select account_id, coalesce(billing_timezone, 'UTC') as billing_timezone, currency_code from landed('accounts');

create temp table keys as
select 'account_id' as key_type, account_id as key_value, account_id, billing_timezone, '-infinity'::timestamp as valid_from, 'infinity'::timestamp as valid_to
from accounts
union all
select key_type, key_value, account_id, billing_timezone, coalesce(valid_from, '-infinity'), coalesce(valid_to, 'infinity')
from landed('attribution_keys')
inner join accounts using (account_id);

-- per metric: each unit that converts to the metric's own, as an exact fraction; a metric that counts takes any of them as 1
create temp table conversions as
with units as (
    select unit, base_unit, replace(factor::varchar, '.', '')::hugeint as factor from landed('units')
)
select
    metric, default_sku, coalesce(allow_negative, false) as allow_negative, metrics.unit as metric_unit, aggregation = 'count' as is_counted, event_units.unit,
    event_units.factor // gcd(event_units.factor, metric_units.factor) as numerator,
    metric_units.factor // gcd(event_units.factor, metric_units.factor) as denominator
from landed('metrics') as metrics
inner join units as metric_units on metrics.unit = metric_units.unit
inner join units as event_units using (base_unit)
where aggregation in ('sum', 'count');

create temp view records as
select *
from read_parquet(getvariable('lake') || '/usage_events/*/*/*.parquet', hive_partitioning = true, hive_types = {'landed_date': date, 'batch': bigint});

-- the local date of every quarter of an hour (all offsets are whole ones): to convert each event's time by its own zone would take a third of the job
create temp table local_dates as
with quarters as (
    select unnest(generate_series(time_bucket(interval 15 minutes, min(event_ts)), max(event_ts), interval 15 minutes)) as quarter_hour from records
)
select billing_timezone, quarter_hour, timezone(billing_timezone, timezone('UTC', quarter_hour))::date as billing_date
from quarters
cross join (select distinct billing_timezone from accounts union select 'UTC');

-- the first landed record of each identity
create temp table events as
with deduplicated as (
    select *
    from records
    qualify row_number() over (partition by producer, event_id, event_uuid order by batch, file_order, row_number) = 1
),

-- whose it is: the first key that resolves as of the time of the event
attributed as (
    select
        events.*,
        coalesce(a.account_id, k.account_id, n.account_id, r.account_id) as owner_id,
        coalesce(a.billing_timezone, k.billing_timezone, n.billing_timezone, r.billing_timezone, 'UTC') as billing_timezone
    from deduplicated as events
    left join keys as a on a.key_type = 'account_id' and a.key_value = events.account_id
    left join keys as k on k.key_type = 'api_key' and k.key_value = events.api_key and event_ts >= k.valid_from and event_ts < k.valid_to
    left join keys as n on n.key_type = 'namespace' and n.key_value = events.namespace and event_ts >= n.valid_from and event_ts < n.valid_to
    left join keys as r on r.key_type = 'resource_id' and r.key_value = events.resource_id and event_ts >= r.valid_from and event_ts < r.valid_to
)

-- what it measures, in the metric's unit; unregistered metrics and units that do not convert drop out, and so does what this script cannot judge
select
    owner_id as account_id,
    case
        when attributed.account_id is not null then 'account_id'
        when api_key is not null then 'api_key'
        when namespace is not null then 'namespace'
        when resource_id is not null then 'resource_id'
        else 'none'
    end as key_type,
    coalesce(attributed.account_id, api_key, namespace, resource_id) as key_value,
    event_ts,
    billing_date,
    metric,
    coalesce(sku, default_sku, metric) as sku,
    coalesce(region, 'global') as region,
    metric_unit as unit,
    case
        when is_counted then 1
        when numerator = denominator then quantity
        -- half away from zero at the ninth digit
        else ((2 * (quantity * 1000000000)::hugeint * numerator + denominator) // (2 * denominator))::decimal(38, 0) * 0.000000001::decimal(9, 9)
    end::decimal(38, 9) as quantity
from attributed
inner join conversions using (metric, unit)
inner join local_dates
    on attributed.billing_timezone = local_dates.billing_timezone and time_bucket(interval 15 minutes, event_ts) = local_dates.quarter_hour
where (quantity >= 0 or allow_negative) and coalesce(sampling_rate, 1) = 1 and corrects is null and correction is null;

create temp table usage_by_minute as
select
    date_trunc('minute', event_ts) as usage_minute, billing_date, account_id, metric, sku, region, unit,
    sum(quantity)::decimal(38, 9) as quantity, count(*) as event_count
from events
where account_id is not null
group by all;

create or replace table usage_hourly as
select
    date_trunc('hour', usage_minute) as usage_hour, billing_date, account_id, metric, sku, region, unit,
    sum(quantity)::decimal(38, 9) as quantity, sum(event_count)::bigint as event_count
from usage_by_minute
group by all;

create or replace table usage_daily as
select
    billing_date, account_id, metric, sku, region, unit,
    sum(quantity)::decimal(38, 9) as quantity, sum(event_count)::bigint as event_count, max(quantity) as peak_per_minute
from usage_by_minute
group by all;

-- percentiles: nearest rank over the minutes with usage
create or replace table usage_monthly as
select
    * exclude (percentiles), percentiles[1] as p50_per_minute, percentiles[2] as p95_per_minute, percentiles[3] as p99_per_minute
from (
    select
        strftime(billing_date, '%Y-%m') as billing_period, account_id, metric, sku, region, unit,
        sum(quantity)::decimal(38, 9) as quantity, sum(event_count)::bigint as event_count, max(quantity) as peak_per_minute,
        quantile_disc(quantity, [0.50, 0.95, 0.99]) as percentiles
    from usage_by_minute
    group by all
);

create or replace table unattributed_usage as
select
    event_ts::date as first_seen_date, key_type, key_value, metric, sku, region, unit,
    sum(quantity)::decimal(38, 9) as quantity, count(*) as event_count
from events
where account_id is null
group by all;

create or replace table invoice_lines as
with tiers as (
    select
        price_id, tier_number, coalesce(lag(up_to) over price, 0)::decimal(38, 9) as above, up_to::decimal(38, 9) as up_to,
        (coalesce(unit_price, 0) * 1000000000000)::hugeint as price_twelfths
    from landed('price_tiers')
    window price as (partition by price_id order by tier_number)
),

-- the price of the day in the account's currency: by the plan held, the SKU, and the exact region before '*'
prices as (
    select
        price_id, plan_id, sku, region, currency_code, model,
        coalesce(valid_from, '-infinity'::date) as valid_from, coalesce(valid_to, 'infinity'::date) as valid_to
    from landed('prices')
    where model in ('per_unit', 'graduated')
),

priced as (
    select
        daily.*, accounts.currency_code, coalesce(exact.price_id, everywhere.price_id) as price_id, coalesce(exact.model, everywhere.model) as model
    from usage_daily as daily
    inner join accounts on daily.account_id = accounts.account_id
    inner join landed('skus') as skus on daily.sku = skus.sku and skus.billable
    inner join landed('account_plans') as plans
        on daily.account_id = plans.account_id
        and billing_date >= coalesce(plans.valid_from, '-infinity') and billing_date < coalesce(plans.valid_to, 'infinity')
    left join prices as exact
        on plans.plan_id = exact.plan_id and daily.sku = exact.sku and accounts.currency_code = exact.currency_code and daily.region = exact.region
        and billing_date >= exact.valid_from and billing_date < exact.valid_to
    left join prices as everywhere
        on plans.plan_id = everywhere.plan_id and daily.sku = everywhere.sku and accounts.currency_code = everywhere.currency_code and everywhere.region = '*'
        and billing_date >= everywhere.valid_from and billing_date < everywhere.valid_to
),

measured as (
    select
        strftime(billing_date, '%Y-%m') as billing_period, account_id, sku, region, unit, price_id, model, currency_code,
        sum(quantity)::decimal(38, 9) as quantity
    from priced
    group by all
),

tiered as (
    select
        measured.*,
        ((if(model = 'graduated', least(quantity, coalesce(up_to, quantity)) - above, quantity) * 1000000000)::hugeint * price_twelfths * 2 + 1000000000)
        // 2000000000 as twelfths
    from measured
    inner join tiers using (price_id)
    where tier_number = 1 or (model = 'graduated' and quantity > above)
),

summed as (
    select
        billing_period, account_id, sku, region, unit, price_id, currency_code, quantity,
        (sum(twelfths)::decimal(38, 0) * 0.000000000001::decimal(12, 12))::decimal(38, 12) as precise_amount
    from tiered
    group by all
)

select
    summed.*,
    case minor_unit
        when 0 then round(precise_amount, 0)::decimal(38, 6)
        when 2 then round(precise_amount, 2)::decimal(38, 6)
        when 3 then round(precise_amount, 3)::decimal(38, 6)
        when 4 then round(precise_amount, 4)::decimal(38, 6)
    end as amount
from summed
inner join read_csv(getvariable('currencies')) using (currency_code);

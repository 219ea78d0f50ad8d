-- The ledger of decisions: whose usage an event is, of what, how much, and on which billing date, as of the batch that decided it. A new event
-- is entered once. When a later batch changes the reference data that its decision rests on, and the decision with it, the old one is reversed
-- (entry −1) and the new one entered (+1), in that batch. Nothing is ever updated, so the state as of any batch is a filter.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set last_batch = watermark() %}

with events as (
    select * from {{ ref('stg_lake__usage_events') }}
),

changes as (
    select * from {{ ref('int_reference_changes') }} where batch_id > {{ last_batch }}
),

metrics as (
    select * from {{ ref('stg_reference__metrics_known') }}
),

conversions as (
    select * from {{ ref('int_metric_units_known') }}
),

attribution_keys as (
    select * from {{ ref('int_attribution_keys_known') }}
),

duplicated as (
    select * from {{ ref('int_events_duplicated') }}
),

-- events that landed before a change of something they name
touched as (
    {%- for column in ['account_id', 'api_key', 'namespace', 'resource_id', 'metric'] %}
    select events.batch_id, events.file_order, events.row_number, changes.batch_id as decided_batch_id
    from events
    inner join changes
        on changes.entity_type = '{{ column }}' and events.{{ column }} = changes.entity_value and changes.batch_id > events.batch_id
    {{ 'union' if not loop.last }}
    {%- endfor %}
),

points as (
    select events.*, batch_id as decided_batch_id, batch_id as as_of_batch, 1 as entry, true as is_first
    from events
    where batch_id > {{ last_batch }}

    union all

    select events.*, touched.decided_batch_id, touched.decided_batch_id + knowledge.lag as as_of_batch, knowledge.entry, false as is_first
    from events
    inner join touched using (batch_id, file_order, row_number)
    cross join (values (-1, -1), (0, 1)) as knowledge (lag, entry)
),

-- everything as it was known as of the point's batch; of the keys the first that resolves, in the contract's order of precedence
resolved as (
    select
        points.*,
        metrics.metric is not null as is_registered,
        metrics.unit as metric_unit,
        metrics.default_sku,
        metrics.aggregation,
        metrics.distinct_on,
        coalesce(metrics.allow_negative, false) as allow_negative,
        if({{ aggregates_by('metrics.aggregation', 'counting') }}, 1, points.quantity)::decimal(38, 9) as counted_quantity,
        if({{ aggregates_by('metrics.aggregation', 'counting') }}, 1, conversions.numerator) as numerator,
        if({{ aggregates_by('metrics.aggregation', 'counting') }}, 1, conversions.denominator) as denominator,
        conversions.metric is not null as is_convertible,
        coalesce(by_account.account_id, by_api_key.account_id, by_namespace.account_id, by_resource.account_id) as resolved_account_id,
        case
            when by_account.account_id is not null then by_account.billing_timezone
            when by_api_key.account_id is not null then by_api_key.billing_timezone
            when by_namespace.account_id is not null then by_namespace.billing_timezone
            when by_resource.account_id is not null then by_resource.billing_timezone
            else 'UTC'
        end as billing_timezone,
        case
            when by_account.account_id is not null then 'account_id'
            when by_api_key.account_id is not null then 'api_key'
            when by_namespace.account_id is not null then 'namespace'
            when by_resource.account_id is not null then 'resource_id'
            -- nobody: the key that should have told, the most telling first
            when points.account_id is not null then 'account_id'
            when points.api_key is not null then 'api_key'
            when points.namespace is not null then 'namespace'
            when points.resource_id is not null then 'resource_id'
            else 'none'
        end as resolved_key_type,
        -- the sampling rate as a fraction in lowest terms: each event stands for sampled_of / sampled events, if figures weigh it
        {{ to_ninths("if(" ~ aggregates_by('metrics.aggregation', 'weighing') ~ ", points.sampling_rate, 1)::decimal(38, 9)") }} as rate_ninths,
        rate_ninths // gcd(rate_ninths, 1000000000::hugeint) as sampled,
        1000000000::hugeint // gcd(rate_ninths, 1000000000::hugeint) as sampled_of
    from points
    left join metrics
        on points.metric = metrics.metric and {{ known('metrics') }}
    left join conversions
        on points.metric = conversions.metric and points.unit = conversions.event_unit and {{ known('conversions') }}
    {%- for alias, column in [('by_account', 'account_id'), ('by_api_key', 'api_key'), ('by_namespace', 'namespace'), ('by_resource', 'resource_id')] %}
    left join attribution_keys as {{ alias }}
        on {{ alias }}.key_type = '{{ column }}' and points.{{ column }} = {{ alias }}.key_value and {{ known(alias) }}
        and points.event_ts >= {{ alias }}.valid_from and points.event_ts < {{ alias }}.valid_to
    {%- endfor %}
),

-- estimates in floating point, here and below, only keep the exact arithmetic inside its 38 digits
sized as (
    select
        *,
        abs(counted_quantity::double) * numerator::double * 1e9 * sampled_of::double < 8e37
        and abs(counted_quantity::double) * numerator::double * sampled_of::double < 1e28 * denominator::double * sampled::double as is_in_range,
        is_in_range and sampled < sampled_of as is_estimate,
        -- what of the conversion nine digits do not hold must stand in the fraction below
        is_estimate and ({{ to_ninths('counted_quantity') }} * numerator) % denominator <> 0
        and power(numerator::double * sampled_of::double, 2) < 8e37 and power(denominator::double * sampled::double, 2) < 8e37 as is_inexact
    from resolved
),

-- the variance that sampling brings, q²(1−p)/p², as base² × spread / spread_of
fractions as (
    select
        *,
        if(is_estimate, (sampled_of - sampled) * sampled_of, 0) * if(is_inexact, numerator * numerator, 1) as whole_spread,
        sampled * sampled * if(is_inexact, denominator * denominator, 1) as whole_spread_of,
        gcd(whole_spread, whole_spread_of) as divisor,
        is_inexact and {{ square_times_fraction_fits('abs(counted_quantity)', 'whole_spread // divisor', 'whole_spread_of // divisor') }} as is_base_recorded
    from sized
),

spread as (
    select
        *,
        case
            when not is_estimate then 0
            when is_base_recorded then abs(counted_quantity)
            else abs({{ from_ninths(divide_rounded(to_ninths('counted_quantity') ~ ' * numerator', 'denominator')) }})
        end::decimal(38, 9) as base,
        if(is_inexact and not is_base_recorded, (sampled_of - sampled) * sampled_of, whole_spread // divisor) as spread,
        if(is_inexact and not is_base_recorded, sampled * sampled, whole_spread_of // divisor) as spread_of
    from fractions
),

judged as (
    select
        *,
        case
            when correction is not null or corrects is not null then 'correction'
            when not is_registered then 'unregistered_metric'
            when not {{ aggregates_by('aggregation', 'any') }} then 'unsupported_aggregation'
            when not is_convertible then 'inconvertible_unit'
            when quantity < 0 and not allow_negative then 'negative_quantity'
            when not is_in_range then 'quantity_out_of_range'
            -- a level is multiplied by the microseconds of a month
            when {{ aggregates_by('aggregation', 'level') }} and abs(quantity::double) * numerator::double >= 1e22 * denominator::double then 'quantity_out_of_range'
            when not {{ square_times_fraction_fits('base', 'spread', 'spread_of') }} then 'quantity_out_of_range'
        end as held_reason
    from spread
),

measured as (
    select
        *,
        case
            when held_reason is not null then quantity
            when numerator = denominator and sampled = sampled_of then counted_quantity
            else {{ from_ninths(divide_rounded(to_ninths('counted_quantity') ~ ' * numerator * sampled_of', 'denominator * sampled')) }}
        end::decimal(38, 9) as measured_quantity,
        case
            when held_reason is not null or sampled = sampled_of then 0
            else {{ square_times_fraction('base', 'spread', 'spread_of') }}
        end::decimal(38, 9) as quantity_variance
    from judged
),

decided as (
    select
        decided_batch_id as batch_id,
        measured.batch_id as landed_batch_id,
        measured.file_order,
        measured.row_number,
        entry,
        case
            when duplicated.batch_id is not null then 'duplicate'
            when held_reason is not null then 'held'
            when resolved_account_id is null then 'unattributed'
            else 'attributed'
        end as outcome,
        case when duplicated.batch_id is null then held_reason when duplicated.is_conflicting then 'conflicting' else 'same' end as outcome_reason,
        resolved_key_type as key_type,
        case resolved_key_type
            when 'account_id' then account_id
            when 'api_key' then api_key
            when 'namespace' then namespace
            when 'resource_id' then resource_id
        end as key_value,
        resolved_account_id as account_id,
        measured.producer,
        measured.event_id,
        event_ts,
        ingested_ts,
        date_trunc('hour', event_ts) as usage_hour,
        timezone(billing_timezone, timezone('UTC', event_ts))::date as billing_date,
        metric,
        coalesce(sku, default_sku, metric) as sku,
        region,
        coalesce(metric_unit, unit) as unit,
        measured_quantity as quantity,
        quantity_variance,
        aggregation,
        sampling_rate,
        -- what tells distinct events, and the levels of one series, apart
        case
            when not {{ aggregates_by('aggregation', 'distinguishing') }} then null
            when distinct_on is null then if(aggregation = 'count_distinct', measured.event_id, null)
            {%- for column in ['event_id', 'resource_id', 'api_key', 'namespace'] %}
            when distinct_on = '{{ column }}' then measured.{{ column }}
            {%- endfor %}
            else coalesce({{ json_text('dims', 'distinct_on') }}, {{ json_text('extra', 'distinct_on') }})
        end as distinct_value,
        -- the calendar that figures over the true length of a day or month go by
        if({{ aggregates_by('aggregation', 'calendar') }}, billing_timezone, null) as calendar_zone,
        is_first
    from measured
    left join duplicated
        on measured.batch_id = duplicated.batch_id and measured.file_order = duplicated.file_order and measured.row_number = duplicated.row_number
),

decided_again as (
    select
        *,
        row(outcome, outcome_reason, key_type, key_value, account_id, billing_date, sku, unit, quantity, quantity_variance, aggregation, distinct_value, calendar_zone)::varchar as decision
    from decided
    where not is_first
),

changed as (
    select * exclude (decision)
    from decided_again
    qualify count(distinct decision) over (partition by landed_batch_id, file_order, row_number, batch_id) = 2
),

entered as (
    select * exclude (is_first) from decided where is_first
    union all
    select * exclude (is_first) from changed
)

select * from entered

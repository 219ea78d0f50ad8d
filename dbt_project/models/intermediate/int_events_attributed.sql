-- The ledger of decisions: whose usage an event is, of what, how much, and on which billing date, as of the batch that decided it. A new event
-- is entered once. When a later batch changes the reference data that its decision rests on, and the decision with it, the old one is reversed
-- (entry −1) and the new one entered (+1), in that batch. Nothing is ever updated, so the state as of any batch is a filter. A correction takes
-- usage back in the same way: the record keeps its outcome and loses its quantity and its event_weight.
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

corrected as (
    select * from {{ ref('int_events_corrected') }}
),

-- the records that decide about each other: a target (the family's name) and the corrections that name it
families as (
    select
        target_batch_id as family_batch_id, target_file_order as family_file_order, target_row_number as family_row_number,
        correction_batch_id as batch_id, correction_file_order as file_order, correction_row_number as row_number
    from corrected
    union
    select target_batch_id, target_file_order, target_row_number, target_batch_id, target_file_order, target_row_number from corrected
),

-- events that landed before a change of something they name
touched_by_reference as (
    {%- for column in ['account_id', 'api_key', 'namespace', 'resource_id', 'metric'] %}
    select events.batch_id, events.file_order, events.row_number, changes.batch_id as decided_batch_id
    from events
    inner join changes
        on changes.entity_type = '{{ column }}' and events.{{ column }} = changes.entity_value and changes.batch_id > events.batch_id
    {{ 'union' if not loop.last }}
    {%- endfor %}
),

stirred as (
    select * from touched_by_reference
    union
    select batch_id, file_order, row_number, greatest(batch_id, family_batch_id) as decided_batch_id
    from families
    where greatest(batch_id, family_batch_id) > {{ last_batch }}
),

-- with a record its family is worth deciding again, and their families: a retraction follows its target, which may wait for its own
{%- for relatives, members in [('relatives', 'stirred'), ('relatives_of_relatives', 'relatives')] %}

{{ relatives }} as (
    select distinct families.batch_id, families.file_order, families.row_number, stirred_families.decided_batch_id
    from (
        select distinct families.family_batch_id, families.family_file_order, families.family_row_number, {{ members }}.decided_batch_id
        from {{ members }}
        inner join families using (batch_id, file_order, row_number)
    ) as stirred_families
    inner join families using (family_batch_id, family_file_order, family_row_number)
),
{%- endfor %}

touched as (
    select * from touched_by_reference
    union
    select * from relatives where decided_batch_id > batch_id
    union
    select * from relatives_of_relatives where decided_batch_id > batch_id
),

looked_at as (
    select touched.batch_id, file_order, row_number, decided_batch_id, decided_batch_id + knowledge.lag as as_of_batch, knowledge.entry
    from touched
    cross join (values (-1, -1), (0, 1)) as knowledge (lag, entry)
),

-- what a member of a family is decided by: the whole family as of the same batch. Looked at, and not entered (entry 0).
asked as (
    select distinct families.batch_id, families.file_order, families.row_number, asked_families.as_of_batch
    from (
        select family_batch_id, family_file_order, family_row_number, batch_id as as_of_batch from families where batch_id > {{ last_batch }}
        union
        select families.family_batch_id, families.family_file_order, families.family_row_number, looked_at.as_of_batch
        from looked_at
        inner join families using (batch_id, file_order, row_number)
    ) as asked_families
    inner join families using (family_batch_id, family_file_order, family_row_number)
    where families.batch_id <= asked_families.as_of_batch
),

points as (
    select events.*, batch_id as decided_batch_id, batch_id as as_of_batch, 1 as entry, true as is_first
    from events
    where batch_id > {{ last_batch }}

    union all

    select events.*, looked_at.decided_batch_id, looked_at.as_of_batch, looked_at.entry, false as is_first
    from events
    inner join looked_at using (batch_id, file_order, row_number)

    union all

    select events.*, null as decided_batch_id, asked.as_of_batch, 0 as entry, false as is_first
    from events
    inner join asked using (batch_id, file_order, row_number)
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

-- a correction waits for its target; a retraction looks at nothing else
linked as (
    select
        measured.* exclude (held_reason),
        corrected.target_batch_id,
        corrected.target_file_order,
        corrected.target_row_number,
        case
            when corrects is null and measured.correction is null then held_reason
            when corrects is null or coalesce(measured.correction not in ('retract', 'replace'), true) then 'incomplete_correction'
            when corrected.batch_id is null then 'unknown_target'
            when corrected.is_target_retraction then 'corrects_a_retraction'
            when measured.correction = 'replace' then held_reason
        end as held_reason
    from measured
    left join corrected
        on measured.batch_id = corrected.correction_batch_id and measured.file_order = corrected.correction_file_order
        and measured.row_number = corrected.correction_row_number and corrected.batch_id <= measured.as_of_batch
),

decided as not materialized (
    select
        decided_batch_id as batch_id,
        linked.batch_id as landed_batch_id,
        linked.file_order,
        linked.row_number,
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
        linked.producer,
        linked.event_id,
        event_ts,
        ingested_ts,
        date_trunc('hour', event_ts) as usage_hour,
        timezone(billing_timezone, timezone('UTC', event_ts))::date as billing_date,
        metric,
        coalesce(sku, default_sku, metric) as sku,
        region,
        coalesce(metric_unit, unit) as unit,
        if(held_reason is null, measured_quantity, quantity) as quantity,
        if(held_reason is null, quantity_variance, 0)::decimal(38, 9) as quantity_variance,
        -- a duplicate counts nowhere; as if it counted, it would count unless it only takes back
        if(duplicated.batch_id is not null and coalesce(correction <> 'replace', corrects is not null), 0, 1) as event_weight,
        correction,
        target_batch_id,
        target_file_order,
        target_row_number,
        held_reason is null and correction is not null as is_in_effect,
        as_of_batch,
        aggregation,
        sampling_rate,
        -- what tells distinct events, and the levels of one series, apart
        case
            when not {{ aggregates_by('aggregation', 'distinguishing') }} then null
            when distinct_on is null then if(aggregation = 'count_distinct', linked.event_id, null)
            {%- for column in ['event_id', 'resource_id', 'api_key', 'namespace'] %}
            when distinct_on = '{{ column }}' then linked.{{ column }}
            {%- endfor %}
            else coalesce({{ json_text('dims', 'distinct_on') }}, {{ json_text('extra', 'distinct_on') }})
        end as distinct_value,
        -- the calendar that figures over the true length of a day or month go by
        if({{ aggregates_by('aggregation', 'calendar') }}, billing_timezone, null) as calendar_zone,
        is_first
    from linked
    left join duplicated
        on linked.batch_id = duplicated.batch_id and linked.file_order = duplicated.file_order and linked.row_number = duplicated.row_number
),

family_members as (
    select * from decided where entry = 0
),

taking_back as (
    select
        target_batch_id, target_file_order, target_row_number, as_of_batch,
        max(row(landed_batch_id, file_order, row_number)) as last_correction
    from family_members
    where is_in_effect
    group by all
),

superseded as (
    select members.landed_batch_id, members.file_order, members.row_number, members.as_of_batch
    from family_members as members
    inner join taking_back
        on members.target_batch_id = taking_back.target_batch_id and members.target_file_order = taking_back.target_file_order
        and members.target_row_number = taking_back.target_row_number and members.as_of_batch = taking_back.as_of_batch
    where members.correction = 'replace' and members.is_in_effect
        and taking_back.last_correction > row(members.landed_batch_id, members.file_order, members.row_number)
),

-- a retraction stands where its target stands
retractions as (
    select
        members.landed_batch_id,
        members.file_order,
        members.row_number,
        members.as_of_batch,
        {%- for column in ['outcome', 'outcome_reason', 'key_type', 'key_value', 'account_id', 'event_ts', 'usage_hour', 'billing_date', 'metric', 'sku', 'region', 'unit'] %}
        targets.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from family_members as members
    inner join family_members as targets
        on members.target_batch_id = targets.landed_batch_id and members.target_file_order = targets.file_order
        and members.target_row_number = targets.row_number and members.as_of_batch = targets.as_of_batch
    where members.correction = 'retract' and members.is_in_effect
),

-- what corrections make of a record as of a batch: taken back by one that names it, superseded by a later one of the same target, or a retraction
verdicts as (
    select members.*, retractions.outcome is not null as is_retraction, retractions.* exclude (landed_batch_id, file_order, row_number, as_of_batch)
    from (
        select target_batch_id as landed_batch_id, target_file_order as file_order, target_row_number as row_number, as_of_batch from taking_back
        union
        select * from superseded
        union
        select landed_batch_id, file_order, row_number, as_of_batch from retractions
    ) as members
    left join retractions using (landed_batch_id, file_order, row_number, as_of_batch)
),

weighed as (
    select
        decided.* exclude (correction, target_batch_id, target_file_order, target_row_number, is_in_effect, as_of_batch)
        replace (
            {%- for column in ['outcome', 'outcome_reason', 'key_type', 'key_value', 'account_id', 'event_ts', 'usage_hour', 'billing_date', 'metric', 'sku', 'region', 'unit'] %}
            if(coalesce(verdicts.is_retraction, false), verdicts.{{ column }}, decided.{{ column }}) as {{ column }},
            {%- endfor %}
            if(verdicts.landed_batch_id is null, decided.event_weight, 0) as event_weight,
            if(verdicts.landed_batch_id is null and decided.event_weight = 1, decided.quantity, 0)::decimal(38, 9) as quantity,
            if(verdicts.landed_batch_id is null and decided.event_weight = 1, decided.quantity_variance, 0)::decimal(38, 9) as quantity_variance
        )
    from decided
    left join verdicts
        on decided.landed_batch_id = verdicts.landed_batch_id and decided.file_order = verdicts.file_order
        and decided.row_number = verdicts.row_number and decided.as_of_batch = verdicts.as_of_batch
    where decided.entry <> 0
),

decided_again as (
    select
        *,
        row(
            outcome, outcome_reason, key_type, key_value, account_id, usage_hour, billing_date, metric, sku, region, unit, quantity, quantity_variance,
            event_weight, aggregation, distinct_value, calendar_zone
        )::varchar as decision
    from weighed
    where not is_first
),

changed as (
    select * exclude (decision)
    from decided_again
    qualify count(distinct decision) over (partition by landed_batch_id, file_order, row_number, batch_id) = 2
),

entered as (
    select * exclude (is_first) from weighed where is_first
    union all
    select * exclude (is_first) from changed
)

select * from entered

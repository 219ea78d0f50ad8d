{#
    How an event is decided, as CTEs that end in `decided`: measured, held, attributed and dated by what its kind and its holder stand for as of a batch.
    They read `points`: events with as_of_batch, decided_batch_id and entry.
    Every rule stands here once; int_events_decided goes by it for new events, int_events_decided_again for those that are looked at again.
#}
{% macro decisions() -%}
kinds as (
    select *, {{ decided_until(kind_columns()) }} as known_to_batch from {{ ref('int_kinds_decided') }}
),

holders as (
    select *, {{ decided_until(holder_columns()) }} as known_to_batch from {{ ref('int_holders_decided') }}
),

-- absent for hours of earlier batches: those events ask the calendar themselves, and so do those of an hour with two dates
local_hours as (
    select * from {{ ref('int_hours_dated') }} where billing_date is not null
),

duplicated as (
    select * from {{ ref('int_events_duplicated') }}
),

corrected as (
    select * from {{ ref('int_events_corrected') }}
),

-- everything as it was known as of the point's batch
resolved as (
    select
        points.*,
        kinds.kind_id,
        kinds.aggregation,
        kinds.distinct_on,
        kinds.allow_negative,
        kinds.held_reason as kind_held_reason,
        kinds.numerator,
        kinds.denominator,
        kinds.sampled,
        kinds.sampled_of,
        holders.holder_id,
        holders.resolved_account_id,
        holders.billing_timezone,
        if(kinds.is_counting, 1, points.quantity)::decimal(38, 9) as counted_quantity,
        coalesce(abs(counted_quantity) < kinds.short_below, false) as is_short
    from points
    left join kinds
        on {{ same('points', 'kinds', kind_columns()) }}
        and points.as_of_batch >= kinds.known_from_batch and points.as_of_batch < coalesce(kinds.known_to_batch, {{ forever() }})
    left join holders
        on {{ same('points', 'holders', holder_columns()) }}
        and points.as_of_batch >= holders.known_from_batch and points.as_of_batch < coalesce(holders.known_to_batch, {{ forever() }})
        and points.event_ts >= holders.valid_from and points.event_ts < holders.valid_to
),

-- Most events are short and not sampled; what the others need is computed for them alone. Estimates in floating point, here and below, only keep
-- the exact arithmetic inside its 38 digits.
sized as (
    select
        *,
        case
            when is_short then true
            else
                abs(counted_quantity::double) * numerator::double * 1e9 * sampled_of::double < 8e37
                and abs(counted_quantity::double) * numerator::double * sampled_of::double < 1e28 * denominator::double * sampled::double
        end as is_in_range,
        is_in_range and sampled < sampled_of as is_estimate,
        -- what of the conversion nine digits do not hold must stand in the fraction below
        case
            when is_estimate
                then
                    ({{ to_ninths('counted_quantity') }} * numerator) % denominator <> 0
                    and power(numerator::double * sampled_of::double, 2) < 8e37 and power(denominator::double * sampled::double, 2) < 8e37
            else false
        end as is_inexact
    from resolved
),

-- the variance that sampling brings, q²(1−p)/p², as base² × spread / spread_of
fractions as (
    select
        *,
        case when is_estimate then (sampled_of - sampled)::hugeint * sampled_of * if(is_inexact, numerator * numerator, 1) end as whole_spread,
        case when is_estimate then sampled::hugeint * sampled * if(is_inexact, denominator * denominator, 1) end as whole_spread_of,
        case when is_estimate then gcd(whole_spread, whole_spread_of) end as divisor,
        case
            when is_inexact then {{ square_times_fraction_fits('abs(counted_quantity)', 'whole_spread // divisor', 'whole_spread_of // divisor') }}
            else false
        end as is_base_recorded
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
        case
            when not is_estimate then null
            when is_inexact and not is_base_recorded then (sampled_of - sampled)::hugeint * sampled_of
            else whole_spread // divisor
        end as spread,
        case
            when not is_estimate then null
            when is_inexact and not is_base_recorded then sampled::hugeint * sampled
            else whole_spread_of // divisor
        end as spread_of
    from fractions
),

judged as (
    select
        *,
        case
            when kind_held_reason is not null then kind_held_reason
            when quantity < 0 and not allow_negative then 'negative_quantity'
            when not is_in_range then 'quantity_out_of_range'
            -- a level is multiplied by the microseconds of a month
            when not is_short and {{ aggregates_by('aggregation', 'level') }} and abs(quantity::double) * numerator::double >= 1e22 * denominator::double then 'quantity_out_of_range'
            when is_estimate and not {{ square_times_fraction_fits('base', 'spread', 'spread_of') }} then 'quantity_out_of_range'
        end as held_reason
    from spread
),

measured as (
    select
        *,
        case
            when held_reason is not null then quantity
            when numerator = denominator and sampled = sampled_of then counted_quantity
            when is_short then {{ from_ninths_short(divide_rounded_short(to_ninths_short('counted_quantity') ~ ' * numerator::bigint', 'denominator::bigint')) }}
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

decided as (
    select
        decided_batch_id as batch_id,
        linked.batch_id as landed_batch_id,
        linked.file_order,
        linked.row_number,
        entry,
        case
            when duplicated.batch_id is not null then {{ outcome('duplicate') }}
            when held_reason is not null then {{ outcome('held') }}
            when resolved_account_id is null then {{ outcome('unattributed') }}
            else {{ outcome('attributed') }}
        end as outcome,
        case when duplicated.batch_id is null then held_reason when duplicated.is_conflicting then 'conflicting' else 'same' end as outcome_reason,
        kind_id,
        holder_id,
        event_ts,
        ingested_ts,
        coalesce(local_hours.billing_date, timezone(linked.billing_timezone, timezone('UTC', event_ts))::date) as billing_date,
        if(held_reason is null, measured_quantity, quantity) as quantity,
        if(held_reason is null, quantity_variance, 0)::decimal(38, 9) as quantity_variance,
        -- a duplicate counts nowhere; as if it counted, it would count unless it only takes back
        if(duplicated.batch_id is not null and coalesce(correction <> 'replace', corrects is not null), 0, 1)::tinyint as event_weight,
        correction,
        target_batch_id,
        target_file_order,
        target_row_number,
        held_reason is null and correction is not null as is_in_effect,
        as_of_batch,
        -- what tells distinct events, and the levels of one series, apart
        case
            when not {{ aggregates_by('aggregation', 'distinguishing') }} then null
            when distinct_on is null then if(aggregation = 'count_distinct', {{ id_of_event('linked') }}, null)
            when distinct_on = 'event_id' then {{ id_of_event('linked') }}
            {%- for column in ['resource_id', 'api_key', 'namespace'] %}
            when distinct_on = '{{ column }}' then linked.{{ column }}
            {%- endfor %}
            else coalesce({{ json_text('dims', 'distinct_on') }}, {{ json_text('extra', 'distinct_on') }})
        end as distinct_value
    from linked
    left join local_hours
        on linked.billing_timezone = local_hours.billing_timezone and date_trunc('hour', linked.event_ts) = local_hours.usage_hour
    left join duplicated
        on linked.batch_id = duplicated.batch_id and linked.file_order = duplicated.file_order and linked.row_number = duplicated.row_number
)
{%- endmacro %}

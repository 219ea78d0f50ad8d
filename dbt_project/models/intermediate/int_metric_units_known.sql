-- Which unit converts to which metric's unit, by which exact fraction, and in which batches that was known.
with metrics as (
    select * from {{ ref('stg_reference__metrics_known') }}
),

units as (
    select
        unit,
        base_unit,
        -- a DECIMAL(38,18) always prints 18 digits behind the point: without the point it is the whole number of 10⁻¹⁸ths
        replace(factor::varchar, '.', '')::hugeint as factor,
        known_from_batch,
        known_to_batch
    from {{ ref('stg_reference__units_known') }}
),

convertible as (
    select
        metrics.metric,
        event_units.unit as event_unit,
        event_units.factor // gcd(event_units.factor, metric_units.factor) as numerator,
        metric_units.factor // gcd(event_units.factor, metric_units.factor) as denominator,
        greatest(metrics.known_from_batch, event_units.known_from_batch, metric_units.known_from_batch) as known_from_batch,
        least(metrics.known_to_batch, event_units.known_to_batch, metric_units.known_to_batch) as known_to_batch
    from metrics
    inner join units as metric_units on metrics.unit = metric_units.unit
    inner join units as event_units on metric_units.base_unit = event_units.base_unit
),

-- a metric's own unit needs no entry in the table of units
own as (
    select
        metric,
        unit as event_unit,
        1::hugeint as numerator,
        1::hugeint as denominator,
        known_from_batch,
        known_to_batch
    from metrics
),

known as (
    select * from own
    union all
    select convertible.*
    from convertible
    inner join metrics
        on convertible.metric = metrics.metric
        and convertible.known_from_batch >= metrics.known_from_batch
        and convertible.known_from_batch < metrics.known_to_batch
        and convertible.event_unit <> metrics.unit
    where convertible.known_from_batch < convertible.known_to_batch
)

select * from known

-- What was used, decided: how events of a kind are measured, counted and billed, as of each batch that changed what is known of their metric and unit.
-- Append-only; a kind keeps its number. item_id: one for all kinds that come to the same metric, SKU, region, unit and aggregation.
{{ config(materialized='incremental', incremental_strategy='append') }}
{%- set items = ['metric', 'billed_sku', 'region', 'billed_unit', 'aggregation'] %}

with seen as (
    select {{ kind_columns() | join(', ') }}, min(batch_id) as seen_batch_id
    from {{ ref('int_kinds_seen') }}
    group by all
),

metrics as (
    select * from {{ ref('stg_reference__metrics_known') }}
),

conversions as (
    select * from {{ ref('int_metric_units_known') }}
),

changes as (
    select metric, null as unit, known_from_batch from metrics
    union
    select metric, null, known_to_batch from metrics
    union
    select metric, event_unit, known_from_batch from conversions
    union
    select metric, event_unit, known_to_batch from conversions
),

points as (
    select *, 0 as as_of_batch from seen
    union
    select seen.*, changes.known_from_batch
    from seen
    inner join changes on seen.metric = changes.metric and coalesce(changes.unit, seen.unit) = seen.unit
    where changes.known_from_batch <= (select max(batch_id) from {{ ref('stg_lake__batches') }})
),

known as (
    select
        points.* rename (as_of_batch as known_from_batch),
        coalesce(points.sku, metrics.default_sku, points.metric) as billed_sku,
        coalesce(metrics.unit, points.unit) as billed_unit,
        metrics.aggregation,
        metrics.distinct_on,
        coalesce(metrics.allow_negative, false) as allow_negative,
        case
            when metrics.metric is null then 'unregistered_metric'
            when not {{ aggregates_by('metrics.aggregation', 'any') }} then 'unsupported_aggregation'
            when conversions.metric is null then 'inconvertible_unit'
        end as held_reason,
        coalesce({{ aggregates_by('metrics.aggregation', 'counting') }}, false) as is_counting,
        if(is_counting, 1, conversions.numerator) as numerator,
        if(is_counting, 1, conversions.denominator) as denominator,
        -- the sampling rate as a fraction in lowest terms: each event stands for sampled_of / sampled events, if figures weigh it
        {{ to_ninths_short("if(" ~ aggregates_by('metrics.aggregation', 'weighing') ~ ", points.sampling_rate, 1)") }} as rate_ninths,
        rate_ninths // gcd(rate_ninths, 1000000000) as sampled,
        1000000000 // gcd(rate_ninths, 1000000000) as sampled_of
    from points
    left join metrics on points.metric = metrics.metric and {{ known('metrics') }}
    left join conversions on points.metric = conversions.metric and points.unit = conversions.event_unit and {{ known('conversions') }}
),

-- short_below: what is less, and not sampled, is converted inside 64 bits (see divide_rounded_short): 10⁻⁹ths of it times the numerator stay within
-- 4 × 10¹⁸, and what comes out below 10⁹
decided as (
    select
        * exclude (rate_ninths),
        least(999999999999999999, 4000000000000000000 // numerator, 1000000000000000000 * least(denominator, 1000000000) // numerator) as short_ninths,
        case
            when numerator is null then null
            when sampled < sampled_of or denominator > 1000000000000000000 then 0
            else {{ from_ninths('short_ninths') }}
        end::decimal(38, 9) as short_below
    from known
),

numbered as (
    select
        {{ last_number('kind_id') }} + row_number() over (
            order by greatest(seen_batch_id, known_from_batch), {{ kind_columns() | join(', ') }}, known_from_batch
        ) as kind_id,
        decided.* exclude (seen_batch_id, short_ninths)
    from decided
    {% if is_incremental() -%}
    anti join {{ this }} as before on {{ same('decided', 'before', kind_columns()) }} and decided.known_from_batch = before.known_from_batch
    {%- endif %}
),

all_kinds as (
    select *, true as is_new from numbered
    {%- if is_incremental() %}
    union all by name
    select * exclude (item_id), false as is_new from {{ this }}
    {%- endif %}
),

items as (
    select *, min(kind_id) over (partition by {{ items | join(', ') }}) as item_id from all_kinds
)

select * exclude (is_new) from items where is_new

{#
    The figures that do not add up from parts, of a window: min, max, avg, latest, count_distinct, p95_per_5min. `events`: a relation of standing events;
    `window_columns`: what a window is, beside its series; `five_minutes`: how many times five minutes it has (of columns of the
    window and calendar_zone). dated_on: the local date on
    which the figure is priced; of a maximum or minimum the date that first reached it, of the latest its own, else the last with an event.
#}
{% macro figures(events, window_columns, five_minutes) -%}
    {%- set series = window_columns + ['account_id', 'metric', 'sku', 'region', 'unit'] -%}
    {%- set keys = series | join(', ') -%}
    with events as (
        select * from {{ events }} where {{ aggregates_by('aggregation', 'recomputed') }}
    ),

    compared as (
        select
            {{ keys }}, aggregation,
            case aggregation
                when 'min' then min(quantity)
                when 'max' then max(quantity)
                when 'latest' then arg_max(quantity, row(event_ts, ingested_ts, landed_batch_id, file_order, row_number))
                when 'count_distinct' then (count(distinct distinct_value) filter (where aggregation = 'count_distinct'))::decimal(38, 9)
            end as quantity,
            case aggregation
                when 'min' then arg_min(billing_date, row(quantity, event_ts))
                when 'max' then arg_min(billing_date, row(-quantity, event_ts))
                else max(billing_date)
            end as dated_on
        from events
        group by {{ keys }}, aggregation
    ),

    -- what the events come to as a sum over what they come to as a count, both weighted by sampling
    weighed as (
        select
            {{ keys }},
            sum(quantity)::decimal(38, 9) as quantity,
            sum({{ divide_rounded('1000000000000000000::hugeint', to_ninths('sampling_rate::decimal(38, 9)')) }}) as weight
        from events
        where aggregation = 'avg'
        group by all
    ),

    averaged as (
        select {{ keys }}, {{ divide_split(to_ninths('quantity'), '0::hugeint', 'weight') }} as quantity
        from weighed
    ),

    by_five_minutes as (
        select
            {{ keys }},
            time_bucket(interval 5 minutes, event_ts, timestamp '2000-01-01') as five_minutes,
            sum(quantity)::decimal(38, 9) as quantity
        from events
        where aggregation = 'p95_per_5min'
        group by all
    ),

    sizes as (
        select {{ keys }}, {{ five_minutes }} as windows
        from (select distinct {{ keys }}, calendar_zone from events where aggregation = 'p95_per_5min')
    ),

    ranked as (
        select
            *,
            (95 * windows + 99) // 100 as rank,
            row_number() over (series order by quantity) as place,
            count(*) over series as used,
            count(*) filter (where quantity < 0) over series as below,
            count(*) filter (where quantity > 0) over series as above
        from by_five_minutes
        inner join sizes using ({{ keys }})
        window series as (partition by {{ keys }})
    ),

    -- nearest rank over all windows of the time, most of which may be without usage: zeros between what is below and above
    percentiles as (
        select
            {{ keys }},
            coalesce(max(quantity) filter (
                where place = case when rank <= below then rank when rank > windows - above then used + rank - windows end
            ), 0)::decimal(38, 9) as quantity
        from ranked
        group by all
    )

    select
        {{ keys }},
        compared.aggregation,
        coalesce(compared.quantity, averaged.quantity, percentiles.quantity)::decimal(38, 9) as quantity,
        compared.dated_on
    from compared
    left join averaged using ({{ keys }})
    left join percentiles using ({{ keys }})
{%- endmacro %}

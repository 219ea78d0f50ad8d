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

    -- sampled events weigh 1 / sampling_rate, which is weight / weight_of in lowest terms
    weighed as (
        select
            {{ keys }},
            1000000000::hugeint // gcd({{ to_ninths('sampling_rate::decimal(38, 9)') }}, 1000000000::hugeint) as weight,
            {{ to_ninths('sampling_rate::decimal(38, 9)') }} // gcd({{ to_ninths('sampling_rate::decimal(38, 9)') }}, 1000000000::hugeint) as weight_of,
            sum(quantity)::decimal(38, 9) as quantity,
            count(*)::hugeint as event_count
        from events
        where aggregation = 'avg'
        group by all
    ),

    -- over one denominator; where that has no room in 38 digits, with weights of nine digits behind the point
    weights as (
        select
            {{ keys }},
            list({weight: weight, weight_of: weight_of, quantity: {{ to_ninths('quantity') }}, event_count: event_count}) as terms,
            list(distinct weight_of) as denominators
        from weighed
        group by all
    ),

    common as (
        select *, try(list_reduce(denominators, lambda a, b: lcm(a, b))) as denominator
        from weights
    ),

    exact as (
        select
            *,
            try(list_reduce(list_transform(terms, lambda term: term.quantity * term.weight * (denominator // term.weight_of)), lambda a, b: a + b)) as exact_sum,
            try(list_reduce(list_transform(terms, lambda term: term.event_count * term.weight * (denominator // term.weight_of)), lambda a, b: a + b)) as exact_weight,
            list_reduce(list_transform(terms, lambda term: term.quantity * {{ divide_rounded('(1000000000::hugeint * term.weight)', 'term.weight_of') }}), lambda a, b: a + b) as near_sum,
            list_reduce(list_transform(terms, lambda term: term.event_count * {{ divide_rounded('(1000000000::hugeint * term.weight)', 'term.weight_of') }}), lambda a, b: a + b) as near_weight
        from common
    ),

    averaged as (
        select {{ keys }}, {{ from_ninths('coalesce(try(' ~ divide_rounded('exact_sum', 'exact_weight') ~ '), ' ~ divide_rounded('near_sum', 'near_weight') ~ ')') }} as quantity
        from exact
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

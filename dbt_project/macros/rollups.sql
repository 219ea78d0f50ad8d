{#
    Usage per window, coded, as CTEs that end in `rolled_up`: what adds up from `summed` (sums of postings; see postings_summed), what does not (see
    figures) from the standing events of the touched windows, and levels integrated over time. `window_columns`: what a window is, beside its series;
    `touched_by`: the column by which touched windows are computed again; `five_minutes`: how many times five minutes a window has; `summed`: a relation
    in the place of summed. The hourly, daily and monthly figures are this, so that they cannot differ in their rules. Only the few figures that do not
    add up are looked for by texts.
#}
{% macro rolled_up(window_columns, touched_by, five_minutes, summed='summed') -%}
levels as (
    select * from {{ ref('int_levels_by_hour') }} where {{ levels_to_show() }}
),

{{ standing_touched(touched_by) }},

figures as (
    {{ figures('standing', window_columns, five_minutes) | indent(4) }}
),

items as (
    select * from {{ ref('int_kinds_decided') }} where kind_id = item_id
),

accounts as (
    select * from {{ ref('int_holders_decided') }} where holder_id = account_number
),

adding as (
    select {{ summed }}.*, null::date as dated_on
    from {{ summed }}
    inner join items on {{ summed }}.item_id = items.item_id
    where {{ aggregates_by('items.aggregation', 'adding') }}
),

figured as (
    select
        {{ summed }}.* replace (
            figures.quantity as quantity,
            if({{ aggregates_by('items.aggregation', 'summing') }}, {{ summed }}.quantity_variance, 0)::decimal(38, 9) as quantity_variance
        ),
        figures.dated_on
    from {{ summed }}
    inner join items on {{ summed }}.item_id = items.item_id
    inner join accounts on {{ summed }}.account_number = accounts.account_number
    left join figures
        on {% for column in window_columns %}{{ summed }}.{{ column }} = figures.{{ column }} and {% endfor %}accounts.resolved_account_id = figures.account_id
        and items.metric = figures.metric and items.billed_sku = figures.sku and items.region = figures.region and items.billed_unit = figures.unit
    where not {{ aggregates_by('items.aggregation', 'adding') }}
),

integrated as (
    select
        {% for column in window_columns %}levels.{{ column }}, {% endfor %}
        accounts.account_number,
        items.item_id,
        {{ divide_split('sum(levels.whole_microseconds)', 'sum(levels.ninth_microseconds)', 'levels.divisor') }} as quantity,
        sum(levels.event_count)::bigint as event_count,
        0::decimal(38, 9) as quantity_variance,
        max(levels.last_batch_id) as last_batch_id
    from levels
    inner join items
        on levels.metric = items.metric and levels.sku = items.billed_sku and levels.region = items.region
        and levels.unit = {{ figure_unit('items.billed_unit', 'items.aggregation') }} and levels.aggregation = items.aggregation
    inner join accounts on levels.account_id = accounts.resolved_account_id
    group by {% for column in window_columns %}levels.{{ column }}, {% endfor %}accounts.account_number, items.item_id, levels.divisor
),

rolled_up as (
    select * from adding
    union all by name
    select * from figured
    union all by name
    select * from integrated
)
{%- endmacro %}

{#
    What adds up, per window and coded series, as the CTEs `postings` and `summed`: of the touched dates, where the model is there already.
    Postings that cancel out leave no usage.
#}
{% macro postings_summed(window_columns) -%}
postings as (
    select * from {{ ref('int_postings_by_period') }}
    where not is_after_close and not {{ aggregates_by('aggregation', 'level') }}
    {%- if is_incremental() %} and billing_date in ({{ touched('billing_date') }}){% endif %}
),

summed as (
    select
        {% for column in window_columns %}{{ column }}, {% endfor %}
        account_number,
        item_id,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count,
        sum(quantity_variance)::decimal(38, 9) as quantity_variance,
        max(batch_id) as last_batch_id
    from postings
    group by all
    having sum(event_count) <> 0
)
{%- endmacro %}

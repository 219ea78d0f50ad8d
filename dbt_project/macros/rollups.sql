{#
    Usage per window, coded, as CTEs that end in `rolled_up`: what adds up (`summed_adding`) as it is, what does not (`summed_recomputed`, of which its events
    count) with figures from the standing events of the touched windows, and levels integrated over time. `window_columns`: what a window is, beside its
    series; `touched_by`: the column by which touched windows are computed again; `five_minutes`: how many times five minutes a window has. The hourly,
    daily and monthly figures are this, so that they cannot differ in their rules. Only the few figures that do not add up are looked for by texts.
#}
{% macro rolled_up(window_columns, touched_by, five_minutes) -%}
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
    select *, null::date as dated_on from summed_adding
),

figured as (
    select
        summed.* replace (
            figures.quantity as quantity,
            if({{ aggregates_by('items.aggregation', 'summing') }}, summed.quantity_variance, 0)::decimal(38, 9) as quantity_variance
        ),
        figures.dated_on
    from summed_recomputed as summed
    inner join items on summed.item_id = items.item_id
    inner join accounts on summed.account_number = accounts.account_number
    left join figures
        on {% for column in window_columns %}summed.{{ column }} = figures.{{ column }} and {% endfor %}accounts.resolved_account_id = figures.account_id
        and items.metric = figures.metric and items.billed_sku = figures.sku and items.region = figures.region and items.billed_unit = figures.unit
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
    What the postings of a window and a coded series come to, as the CTEs `summed_adding` and `summed_recomputed` (see rolled_up): of the touched dates,
    where the model is there already. Postings that cancel out leave no usage. `as_posted`: the windows are those of the ledger, so that the postings of a
    date to which one batch alone has posted are what they come to.
#}
{% macro postings_summed(window_columns, as_posted=false) -%}
{%- set to_sum = 'not is_after_close and ' ~ is_touched() -%}
{%- if as_posted -%}
lone_dates as (
    select billing_date from {{ ref('int_usage_posted') }}
    where {{ to_sum }}
    group by billing_date
    having min(batch_id) = max(batch_id)
),

{% endif -%}
{%- for kind in ['adding', 'recomputed'] -%}
summed_{{ kind }} as (
    {%- set postings %}
    from {{ ref('int_postings_by_period') }}
    where
        {{ to_sum }} and {{ aggregates_by('aggregation', kind) }}
    {%- endset %}
    select
        {% for column in window_columns %}{{ column }}, {% endfor %}
        account_number,
        item_id,
        sum(quantity)::decimal(38, 9) as quantity,
        sum(event_count)::bigint as event_count,
        sum(quantity_variance)::decimal(38, 9) as quantity_variance,
        max(batch_id) as last_batch_id
    {{- postings }}
        {%- if as_posted %} and billing_date not in (select billing_date from lone_dates){% endif %}
    group by all
    having sum(event_count) <> 0
    {%- if as_posted %}
    union all
    select {% for column in window_columns %}{{ column }}, {% endfor %}account_number, item_id, quantity, event_count, quantity_variance, batch_id
    {{- postings }}
        and billing_date in (select billing_date from lone_dates) and event_count <> 0
    {%- endif %}
)
{{- ',

' if not loop.last }}
{%- endfor %}
{%- endmacro %}

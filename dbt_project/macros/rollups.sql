{#
    Usage per window, as CTEs that end in `rolled_up`: what adds up from `summed` (sums of postings, coded; see postings_summed),
    what does not (see figures) from the standing events of the touched windows, and levels integrated over time. `window_columns`: what a window is,
    beside its series; `touched_by`: the column by which touched windows are computed again; `five_minutes`: how many times five minutes a window has;
    `more`: further columns of summed. The hourly, daily and monthly figures are this, so that they cannot differ in their rules.
#}
{% macro rolled_up(window_columns, touched_by, five_minutes, more=[]) -%}
{%- set series = window_columns + ['account_id', 'metric', 'sku', 'region', 'unit', 'aggregation'] -%}
levels as (
    select * from {{ ref('int_levels_by_hour') }} where {{ levels_to_show() }}
),

{{ standing_touched(touched_by) }},

figures as (
    {{ figures('standing', window_columns, five_minutes) | indent(4) }}
),

described as (
    select
        summed.* exclude (account_number, item_id),
        {{ described_columns() }}
    from summed
    {{ join_described('summed') }}
),

counted as (
    select
        {% for column in window_columns %}described.{{ column }}, {% endfor %}
        described.account_id,
        described.metric,
        described.sku,
        described.region,
        described.unit,
        described.aggregation,
        if({{ aggregates_by('described.aggregation', 'adding') }}, described.quantity, figures.quantity)::decimal(38, 9) as quantity,
        described.event_count,
        if({{ aggregates_by('described.aggregation', 'summing') }}, described.quantity_variance, 0)::decimal(38, 9) as quantity_variance,
        described.last_batch_id,
        figures.dated_on
        {%- for column in more %},
        described.{{ column }}
        {%- endfor %}
    from described
    left join figures using ({{ series | join(', ') }})
),

integrated as (
    select
        {{ series | join(', ') }},
        {{ divide_split('sum(whole_microseconds)', 'sum(ninth_microseconds)', 'divisor') }} as quantity,
        sum(event_count)::bigint as event_count,
        0::decimal(38, 9) as quantity_variance,
        max(last_batch_id) as last_batch_id
    from levels
    group by {{ series | join(', ') }}, divisor
),

rolled_up as (
    select * from counted
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

{# Postings per billing date, account, metric, SKU and region, to hold usage_daily against, of the dates that are to be tested: summed by numbers first, then described. #}
{% macro posted_per_day() -%}
    select
        coded.billing_date, accounts.resolved_account_id as account_id, items.metric, items.billed_sku as sku, items.region,
        sum(if({{ aggregates_by('items.aggregation', 'adding') }}, coded.quantity, 0)) as quantity,
        sum(coded.event_count) as event_count
    from (
        select billing_date, account_number, item_id, sum(quantity) as quantity, sum(event_count) as event_count
        from {{ ref('int_postings_by_period') }}
        where not is_after_close and {{ untested('date') }}
        group by all
    ) as coded
    {{ join_described('coded') }}
    group by all
{%- endmacro %}

{#
    Incremental marts refresh only what new postings touch: before the new rows of the touched dates (or periods) are put in, the old ones go.
    Not delete+insert by key: a row whose postings cancel out has no new version, and would stay.
#}
{% macro forget_touched(column, postings='int_postings_by_period') -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ column }} in ({{ touched(column, postings) }})
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{% macro touched(column, postings='int_postings_by_period') -%}
    {{ literals(column, ref(postings), is_new()) }}
{%- endmacro %}

{# Condition on postings with their period: the mart has not taken them in, and they did not come after the close. #}
{% macro is_new() -%}
    not is_after_close and batch_id > {{ watermark('last_batch_id') }}
{%- endmacro %}

{# The accounts' items that new postings touch in a month, coded; and the hook by which their rows go. #}
{% macro touched_items(postings) -%}
    select distinct date_trunc('month', billing_date)::date as first_date, account_number, item_id
    from {{ postings }}
    where {{ is_new() }}
{%- endmacro %}

{% macro forget_touched_items() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where (first_date, account_number, item_id) in ({{ touched_items(ref('int_postings_by_period')) }})
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{# The values of a column as a list of literals (null if there are none), so that DuckDB reads only the parts of tables in which they occur. #}
{% macro literals(column, relation, condition) -%}
    {%- set literal = 'chr(39) || (' ~ column ~ ')::varchar || chr(39)' -%}
    {%- if execute -%}
        {{- run_query(
            "select coalesce(string_agg(distinct " ~ literal ~ ", ', ' order by " ~ literal ~ "), 'null') from " ~ relation ~ " where " ~ condition
        ).columns[0].values()[0] -}}
    {%- endif -%}
{%- endmacro %}

{# Marts that hold the rows of closed periods as they were frozen: all others go before they are put in anew, and frozen ones are put in once. #}
{% macro forget_what_is_not_frozen(more='') -%}
    {%- set receipts = ref('stg_finalized__receipts') -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where billing_period not in (select billing_period from {{ receipts }}) {{ more }}
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{# Condition on frozen rows: the mart does not hold them yet; `held`: a condition on those that it holds. As literals, so that no file of others is read. #}
{% macro is_frozen_since(held='true') -%}
    {%- if is_incremental() -%}
        billing_period in ({{ literals(
            'billing_period', ref('stg_finalized__receipts'), 'billing_period not in (select distinct billing_period from ' ~ this ~ ' where ' ~ held ~ ')'
        ) }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# Levels of periods that are not closed are integrated anew in every run (until now, which moves on): their rows go first. #}
{% macro forget_levels(period, more='', coded=false) -%}
    {%- set receipts = ref('stg_finalized__receipts') -%}
    {%- set is_level = aggregates_by('aggregation', 'level') -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where (
            {% if coded %}item_id in (select item_id from {{ ref('int_kinds_decided') }} where {{ is_level }}){% else %}{{ is_level }}{% endif %}
            and {{ period }} not in (select billing_period from {{ receipts }})
        ) {{ more }}
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{# Condition on int_levels_by_hour: what a mart takes in beside what it holds of closed periods. #}
{% macro levels_to_show() -%}
    {%- set receipts = ref('stg_finalized__receipts') -%}
    knowledge = 'shown' {%- if is_incremental() %} and billing_period not in (select billing_period from {{ receipts }}){% endif %}
{%- endmacro %}

{# CTEs: the standing events of which a mart recomputes figures, those of the touched dates (or periods), as it shows them. #}
{% macro standing_touched(column) -%}
entries as (
    select * from {{ ref('int_entries_shown') }}
    where {{ aggregates_by('aggregation', 'recomputed') }} and {{ is_touched(column) }}
),

standing as (
    {{ standing('entries') | indent(4) }}
)
{%- endmacro %}

{# Condition on billing dates: what the model computes again, by dates or by periods; all of them, where it is not there yet. #}
{% macro is_touched(column='billing_date') -%}
    {%- if not is_incremental() -%}
        true
    {%- elif column == 'billing_period' -%}
        {{ in_periods('billing_date', touched(column)) }}
    {%- else -%}
        {{ column }} in ({{ touched(column) }})
    {%- endif -%}
{%- endmacro %}

{#
    Condition: the date lies in one of the periods (a list of literals in their order, as `touched` gives it). Between the first and the last of them,
    because tables know between which dates their parts lie; where months between them are not meant, that is asked of what is read.
#}
{% macro in_periods(date, periods) -%}
    {%- set named = periods.split(', ') | reject('in', ['', 'null']) | list -%}
    {%- set ranges, months = [], [] -%}
    {%- for period in named -%}
        {%- do ranges.append(days_of_period(date, period, period)) -%}
        {%- do months.append(period[1:5] | int * 12 + period[6:8] | int) -%}
    {%- endfor -%}
    {%- if not named -%}
        false
    {%- else -%}
        {{ days_of_period(date, named | first, named | last) }}
        {%- if months | last - months | first >= months | length %} and ({{ ranges | join(' or ') }}){% endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro days_of_period(date, first, last) -%}
    ({{ date }} between ({{ first }} || '-01')::date and last_day(({{ last }} || '-01')::date))
{%- endmacro %}

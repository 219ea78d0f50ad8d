{# How the aggregations of rule 10 differ, as a table: what each kind of them has in common. #}

{# Condition: the aggregation in `column` is of this kind. #}
{% macro aggregates_by(column, kind) -%}
    {%- set kinds = {
        'adding': ['sum', 'count'],
        'counting': ['count', 'count_distinct'],
        'summing': ['sum', 'count', 'p95_per_5min'],
        'weighing': ['sum', 'count', 'p95_per_5min', 'avg', 'count_distinct'],
        'level': ['time_weighted', 'weighted_sum'],
        'recomputed': ['min', 'max', 'avg', 'latest', 'count_distinct', 'p95_per_5min'],
        'distinguishing': ['count_distinct', 'time_weighted'],
        'calendar': ['p95_per_5min', 'time_weighted', 'weighted_sum'],
    } -%}
    {%- set names = kinds['adding'] + kinds['recomputed'] + kinds['level'] if kind == 'any' else kinds[kind] -%}
    {{ column }} in ('{{ names | join("', '") }}')
{%- endmacro %}

{# The unit of a figure: of a level that is integrated over time, unit-hours. #}
{% macro figure_unit(unit, aggregation) -%}
    if({{ aggregation }} = 'time_weighted', {{ unit }} || '-hour', {{ unit }})
{%- endmacro %}

{# The text of a JSON object's value under the key that `key` holds, whatever its characters (a JSON pointer); null where it is not there. #}
{% macro json_text(object, key) -%}
    json_extract_string({{ object }}, '/' || replace(replace({{ key }}, '~', '~0'), '/', '~1'))
{%- endmacro %}

{# The instant (UTC) at which a local date begins in a time zone. Where the clock shows its midnight twice, the first time: ICU takes the second. #}
{% macro starts_at(local_date, zone) -%}
    {%- set instant = "timezone('UTC', timezone(" ~ zone ~ ", (" ~ local_date ~ ")::timestamp))" -%}
    if(
        timezone({{ zone }}, timezone('UTC', {{ instant }} - interval 1 hour))::date = ({{ local_date }})::date,
        {{ instant }} - interval 1 hour,
        {{ instant }}
    )
{%- endmacro %}

{# Microseconds from the beginning of one local date to that of another, whole. #}
{% macro microseconds_between(first_date, next_date, zone) -%}
    (epoch_us({{ starts_at(next_date, zone) }}) - epoch_us({{ starts_at(first_date, zone) }}))::hugeint
{%- endmacro %}

{#
    What is left of the ledger's entries: events that stand, one row each. The entries of an event and its reversals are alike but for the batch, so
    what was taken back leaves nothing. `scope`: columns that say of which knowledge or scenario the entries are.
#}
{% macro standing(entries, scope=[]) -%}
    select
        {% for column in scope %}{{ column }}, {% endfor -%}
        billing_period, usage_hour, billing_date, account_id, metric, sku, region, unit, aggregation, distinct_value, calendar_zone, sampling_rate,
        event_ts, ingested_ts, landed_batch_id, file_order, row_number, quantity
    from {{ entries }}
    group by all
    having sum(entry) > 0
{%- endmacro %}

{#
    Table macros in the warehouse by which an analyst asks for the state as of a batch: `from usage.usage_monthly_as_of(3)`. Usage is a sum of
    postings, so a state of the past is a filter on batch_id; a period shows no posting beyond its close, then as now. Only metrics that
    add up (sum, count): for the others, and for money, `usage build --as-of-batch N --into DIR` builds the whole state.
    A time becomes a batch by operations.batch_at(time).
#}
{% macro create_usage_as_of(relation, date_expression, date_column) -%}
create or replace macro {{ relation }}(as_of_batch) as table (
    select
        {{ date_expression }} as {{ date_column }},
        postings.account_id,
        postings.metric,
        postings.sku,
        postings.region,
        postings.unit,
        sum(postings.quantity)::decimal(38, 9) as quantity,
        sum(postings.event_count)::bigint as event_count,
        sum(postings.quantity_variance)::decimal(38, 9) as quantity_variance
    from {{ in_warehouse(ref('int_usage_postings')) }} as postings
    left join {{ in_warehouse(ref('stg_finalized__receipts')) }} as receipts on strftime(postings.billing_date, '%Y-%m') = receipts.billing_period
    where {{ aggregates_by('postings.aggregation', 'adding') }} and postings.batch_id <= as_of_batch and postings.batch_id <= coalesce(receipts.cutoff_batch_id, postings.batch_id)
    group by all
    having sum(postings.event_count) <> 0
)
{%- endmacro %}

{# The batch that was the last to have landed at a time (UTC); null before the first. #}
{% macro create_batch_at() -%}
create or replace macro operations.batch_at(at_time) as (
    select max(batch_id) from {{ in_warehouse(ref('stg_lake__batches')) }} where landed_at <= at_time
)
{%- endmacro %}

{# A relation without its database: a DuckDB macro or view keeps the text, and a file may be opened under another name. #}
{% macro in_warehouse(relation) -%}
    {{ relation.include(database=false) }}
{%- endmacro %}

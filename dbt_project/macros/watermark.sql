{# The last batch that an incremental model has taken in, as a literal, so that DuckDB reads only the folders of later batches. #}
{% macro watermark(column='batch_id') -%}
    {%- if execute and is_incremental() -%}
        {{- run_query('select coalesce(max(' ~ column ~ '), 0) from ' ~ this).columns[0].values()[0] -}}
    {%- else -%}
        0
    {%- endif -%}
{%- endmacro %}

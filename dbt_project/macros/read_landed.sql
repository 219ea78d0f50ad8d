{#
    A source's files as a relation. The path stands in the source's YAML (`meta.path`, below the home; `meta.reader`), the types in its columns.
    Where nothing has landed yet, an empty relation of the same columns: an absent reference table is an empty one.
#}
{% macro read_landed(source_name, table_name) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- if execute -%}
        {%- set node = graph.sources.values() | selectattr('source_name', 'equalto', source_name)
            | selectattr('name', 'equalto', table_name) | first -%}
        {%- set path = (home() ~ '/' ~ node.meta.path) | replace("'", "''") -%}
        {%- set found = run_query("select count(*) from glob('" ~ path ~ "')").columns[0].values()[0] -%}
        {%- if found -%}
            {{ node.meta.reader | replace('PATH', "'" ~ path ~ "'") | replace('COLUMNS', landed_columns(node)) }}
        {%- else -%}
            (select
            {%- for column in node.columns.values() %} null::{{ column.data_type }} as {{ adapter.quote(column.name) }}{{ ',' if not loop.last }}{%- endfor %}
            where false)
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro landed_columns(node) -%}
    { {%- for column in node.columns.values() -%} '{{ column.name }}': '{{ column.data_type }}'{{ ', ' if not loop.last }} {%- endfor -%} }
{%- endmacro %}

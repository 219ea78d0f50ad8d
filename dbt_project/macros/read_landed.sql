{#
    A source's files as a relation. The path stands in the source's YAML (`meta.path`, below the home; `meta.reader`), the types in its columns.
    Where nothing has landed yet, an empty relation of the same columns: an absent reference table is an empty one.
    DuckDB takes the columns of the first file. Where EARLIER stands in the reader, a column may have come later: then all files are asked for theirs.
#}
{% macro read_landed(source_name, table_name) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- if execute -%}
        {%- set node = graph.sources.values() | selectattr('source_name', 'equalto', source_name)
            | selectattr('name', 'equalto', table_name) | first -%}
        {%- set path = (home() ~ '/' ~ node.meta.path) | replace("'", "''") -%}
        {%- set first = run_query("select min(file) from glob('" ~ path ~ "')").columns[0].values()[0] -%}
        {%- if not first -%}
            ({{ no_rows(node) }})
        {%- elif 'EARLIER' in node.meta.reader and is_earlier(node, first | replace("'", "''")) -%}
            ({{ no_rows(node) }} union all by name from {{ landed_files(node, path, 'true') }})
        {%- else -%}
            {{ landed_files(node, path, 'false') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro landed_files(node, path, earlier) -%}
    {{ node.meta.reader | replace('PATH', "'" ~ path ~ "'") | replace('COLUMNS', landed_columns(node)) | replace('EARLIER', earlier) }}
{%- endmacro %}

{% macro is_earlier(node, path) -%}
    {%- set known = run_query('describe from ' ~ landed_files(node, path, 'false')).columns[0].values() -%}
    {%- do return(node.columns.keys() | reject('in', known) | list | length > 0) -%}
{%- endmacro %}

{% macro no_rows(node) -%}
    select
    {%- for column in node.columns.values() %} null::{{ column.data_type }} as {{ adapter.quote(column.name) }}{{ ',' if not loop.last }}{%- endfor %}
    where false
{%- endmacro %}

{% macro landed_columns(node) -%}
    { {%- for column in node.columns.values() -%} '{{ column.name }}': '{{ column.data_type }}'{{ ', ' if not loop.last }} {%- endfor -%} }
{%- endmacro %}

{#
    What an event is called: the lake holds most ids as 16 bytes. Models that need the id of a few events out of many make its text after their joins, by
    this, from what stg_lake__usage_events hands on as it stands; its event_id is made of every event that is read.
#}
{% macro id_of_event(relation, text='event_text') -%}
    coalesce({{ relation }}.{{ text }}, {{ relation }}.event_uuid::varchar)
{%- endmacro %}

{#
    Tables and views as dbt-duckdb makes them, but the new one takes the place of the old in one transaction of few statements. The adapter's own way, two
    renames, a drop and three looks at the columns for their comments, costs more time than what an empty night has to compute; what a night appends it
    would write twice.
#}
{% materialization table, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {{ return(replaced(target, create_table_as(False, target, compiled_code))) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb' %}
    {%- set target = this.incorporate(type='view') -%}
    {{ return(replaced(target, create_view_as(target, compiled_code))) }}
{% endmaterialization %}

{# Rows are only ever appended, straight into the table: what has to go first, a hook of the same transaction deletes. #}
{% materialization incremental, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- if config.get('incremental_strategy') != 'append' -%}
        {% do exceptions.raise_compiler_error("incremental models append here; what has to go is deleted by a pre_hook") %}
    {%- endif -%}
    {%- if is_incremental() -%}
        {{ return(appended(target)) }}
    {%- else -%}
        {{ return(replaced(target, create_table_as(False, target, compiled_code))) }}
    {%- endif -%}
{% endmaterialization %}

{% macro appended(target) %}
    {%- set columns = adapter.get_columns_in_relation(target) | map(attribute='name') | list -%}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(compiled_code) }}
        {%- set wanted = model.columns.keys() -%}
    {%- else -%}
        {%- set wanted = get_column_schema_from_query(compiled_code) | map(attribute='name') -%}
    {%- endif -%}
    {%- if wanted | map('lower') | sort != columns | map('lower') | sort -%}
        {% do exceptions.raise_compiler_error("its columns are not those of the table that an earlier version made: `usage build --full-refresh` makes it anew") %}
    {%- endif -%}
    {%- set listed = columns | map('tojson') | join(', ') -%}
    {% do return(in_one_transaction(target, 'insert into ' ~ target ~ ' (' ~ listed ~ ') select ' ~ listed ~ ' from (\n' ~ compiled_code ~ '\n);')) %}
{% endmacro %}

{% macro replaced(target, create_sql) %}
    {%- set existing = load_cached_relation(this) -%}
    {% do return(in_one_transaction(target, ('drop ' ~ existing.type ~ ' ' ~ existing ~ '; ' if existing is not none else '') ~ create_sql)) %}
{% endmacro %}

{# Runs the statements of a model, its comments and its hooks. #}
{% macro in_one_transaction(target, statements) %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main') -%}
        {{ statements }}
        {{- comments(target, model) }}
    {%- endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {% do return({'relations': [target]}) %}
{% endmacro %}

{# All comments in one statement. A description of a column that does not exist is an error. #}
{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- set statements = comments(relation, model, for_relation, for_columns) -%}
    {%- if statements | trim %}{% do run_query(statements) %}{% endif -%}
{%- endmacro %}

{# The statements that hand the descriptions of a model and its columns to the database, where the model's configuration asks for it. #}
{% macro comments(relation, model, for_relation=true, for_columns=true) -%}
    {%- set described = model.columns.values() | selectattr('description') if for_columns and config.persist_column_docs() else [] -%}
    {%- if for_relation and config.persist_relation_docs() and model.description %}{{ alter_relation_comment(relation, model.description) }}{% endif -%}
    {%- for column in described -%}
        comment on column {{ relation }}.{{ adapter.quote(column.name) }} is {{ duckdb_escape_comment(column.description) }};
    {%- endfor -%}
{%- endmacro %}

{# Schemas are named as they are configured (usage, billing, …), without the target's name in front: the marts' names are public. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

{# A line's name: the same line has the same id in every run and every home. #}
{% macro line_id(parts) -%}
    'line-' || left(md5(concat_ws('|', {{ parts | join(', ') }})), 24)
{%- endmacro %}

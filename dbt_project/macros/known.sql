{# Join condition: the row of a bitemporal relation that was known as of the point's batch. #}
{% macro known(alias) -%}
    points.as_of_batch >= {{ alias }}.known_from_batch and points.as_of_batch < {{ alias }}.known_to_batch
{%- endmacro %}

{# How much of a quantity is rated, and in which tier: the steps of int_line_tiers_rated that it takes twice, for the period up to a slice and through it. #}

{# What is left of a running quantity when the price's free units come off first. #}
{% macro after_free_units(quantity) -%}
    ({{ quantity }} - least(free_units, greatest({{ quantity }}, 0)))::decimal(38, 9)
{%- endmacro %}

{# The part of a rated quantity that lies in the tier: above its lower edge, up to and including its upper one. What is negative lies in the first tier. #}
{% macro in_tier(rated) -%}
    if(
        tiers.tier_number = 1,
        least({{ rated }}, coalesce(tiers.up_to, {{ rated }})),
        greatest(least({{ rated }}, coalesce(tiers.up_to, {{ rated }})) - tiers.above, 0)
    )
{%- endmacro %}

{# Whole packages that a rated quantity takes, the last one begun. #}
{% macro packages(rated) -%}
    {{ divide_rounded_up(to_ninths(rated), to_ninths('package_size')) }}
{%- endmacro %}

{# Where the home folder lies, and what "now" and "all we know" mean in this run. #}

{# The home, absolute, because views keep the path for whoever reads them later from another folder. #}
{% macro home() -%}
    {%- set home = env_var('USAGE_HOME', '../warehouse') -%}
    {{ home if home.startswith('/') else env_var('PWD', '.') ~ '/' ~ home }}
{%- endmacro %}

{# The time that stands for now (UTC, no zone): USAGE_AS_OF where a run must be repeatable, else the clock. #}
{% macro as_of() -%}
    {%- set given = env_var('USAGE_AS_OF', '') -%}
    {%- if given -%}
        (timestamptz '{{ given }}' at time zone 'UTC')
    {%- else -%}
        (now() at time zone 'UTC')
    {%- endif -%}
{%- endmacro %}

{# The last batch that this run may know of: USAGE_AS_OF_BATCH for a state of the past, else every batch that has landed. #}
{% macro as_of_batch() -%}
    {{ env_var('USAGE_AS_OF_BATCH', '9223372036854775807') }}::bigint
{%- endmacro %}

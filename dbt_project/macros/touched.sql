{#
    Incremental marts refresh only what new postings touch: before the new rows of the touched dates (or periods) are put in, the old ones go.
    Not delete+insert by key: a row whose postings cancel out has no new version, and would stay.
#}
{% macro forget_touched(column, postings='int_postings_by_period') -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ column }} in ({{ touched(column, postings) }})
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{% macro touched(column, postings='int_postings_by_period') -%}
    select distinct {{ column }} from {{ ref(postings) }} where not is_after_close and batch_id > {{ watermark('last_batch_id') }}
{%- endmacro %}

{# The version of a reference table that is in force: the last that had landed by the run's last batch. #}
{% macro version_in_force(table) -%}
    (select max(version) from {{ ref('stg_lake__reference_versions') }} where table_name = '{{ table }}')
{%- endmacro %}

{#
    A reference table on the knowledge axis: each distinct row with the batches in which it was known, half-open
    [known_from_batch, known_to_batch). A row that stays the same over many versions is one interval, so landing an unchanged
    row again changes nothing that was decided by it.
#}
{% macro known_intervals(table, columns) -%}
with source as (
    select * from {{ read_landed('reference', table) }}
),

versions as (
    select * from {{ ref('stg_lake__reference_versions') }} where table_name = '{{ table }}'
),

rows_known as (
    select
        {% for column in columns %}source.{{ column }},
        {% endfor -%}
        versions.version,
        versions.batch_id,
        versions.next_batch_id
    from source
    inner join versions on source.version = versions.version
),

islands as (
    select
        *,
        version - row_number() over (partition by {{ columns | join(', ') }} order by version) as island
    from rows_known
),

intervals as (
    select
        {{ columns | join(',\n        ') }},
        min(batch_id) as known_from_batch,
        max(next_batch_id) as known_to_batch
    from islands
    group by {{ columns | join(', ') }}, island
)

select * from intervals
{%- endmacro %}

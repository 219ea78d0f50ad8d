{#
    Failure it prevents: two rows of one grain, which every join and sum downstream would count twice. Nulls are values here. The few rows whose grain may
    repeat are found by a hash and then compared in full: a third of the time, and the hash never decides. `untested_by`: see macros/tested.sql.
#}
{% test unique_grain(model, columns, untested_by=none) %}
{%- set condition = untested(untested_by) if untested_by else 'true' -%}
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
where {{ condition }} and hash({{ columns | join(', ') }}) in (
    select hash({{ columns | join(', ') }}) as grain_hash from {{ model }} where {{ condition }} group by grain_hash having count(*) > 1
)
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{# Failure it prevents: two rows of one grain, which every join and sum downstream would count twice. Nulls are values here. #}
{% test unique_grain(model, columns) %}
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

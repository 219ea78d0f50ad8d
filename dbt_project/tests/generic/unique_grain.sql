{#
    Failure it prevents: two rows of one grain, which every join and sum downstream would count twice. Nulls are values here. The few rows whose grain may
    repeat are found by a hash and then compared in full: a third of the time, and the hash never decides. `numbered_by`: a column of the grain, never
    null, that numbers rows (`number`: as an integer, where it is none); 64 of them are looked for at once, as bits of one: a third of the time again.
    `untested_by`: see macros/tested.sql; `among_all`: against all rows, since the grain does not say when they were tested.
#}
{% test unique_grain(model, columns, numbered_by=none, number=none, untested_by=none, among_all=false) %}
{%- set condition = untested(untested_by) if untested_by else 'true' -%}
{%- set number = '(' ~ (number or numbered_by) ~ ')' -%}
{%- set hashed = columns | reject('equalto', numbered_by) | list + ([number ~ ' >> 6'] if numbered_by else []) -%}
{%- if among_all -%}
    {%- set grain_hash = 'hash(' ~ hashed | join(', ') ~ ')' -%}
    {%- set condition = grain_hash ~ ' in (select ' ~ grain_hash ~ ' from ' ~ model ~ ' where ' ~ condition ~ ')' -%}
{%- endif -%}
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ model }}
where {{ 'true' if among_all else condition }} and hash({{ hashed | join(', ') }}) in (
    select hash({{ hashed | join(', ') }}) as grain_hash
    from {{ model }}
    where {{ condition }}
    group by grain_hash
    having count(*) > {{ 'bit_count(bit_or(1::ubigint << (' ~ number ~ ' & 63)::int))' if numbered_by else 1 }}
)
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

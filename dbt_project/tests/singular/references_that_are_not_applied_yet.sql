-- Failure it prevents: a discount or a commitment that everybody takes for billed. These tables land and keep their versions, but no line rests on
-- them yet; as long as they hold rows, every build says so.
{{ config(severity='warn') }}

{%- for table in ['commitments', 'discounts', 'credits', 'subscriptions'] %}
select '{{ table }}' as table_name, count(*) as rows_not_applied from {{ ref('stg_reference__' ~ table) }} having count(*) > 0
{{ 'union all' if not loop.last }}
{%- endfor %}

{#
    A nightly build tests what it brought: of ledgers the entries of batches that no build has tested yet, of figures by date the dates that those touch, of
    what is made anew the periods that are not closed, of what is frozen those that were closed since. All else was tested the night it came, and the gates
    look at the whole of a period before it closes.
    A full refresh, `dbt test`, and a build of a part look at everything.
#}
{% macro tested_batch() -%}
    {%- set known = namespace(batch=0) -%}
    {%- if execute and tests_everything() and not flags.FULL_REFRESH -%}
        {%- set relation = adapter.get_relation(target.database, 'intermediate', 'int_batches_tested') -%}
        {%- if relation -%}{%- set known.batch = run_query('select tested_batch_id from ' ~ relation).columns[0].values()[0] -%}{%- endif -%}
    {%- endif -%}
    {{- known.batch -}}
{%- endmacro %}

{# Whether this run builds and tests the whole project: only such a one may say that it did, and rest on what others did. #}
{% macro tests_everything() -%}
    {%- set arguments = invocation_args_dict -%}
    {%- do return(
        arguments.which == 'build' and not arguments.select and not arguments.exclude
        and 'test' not in (arguments.exclude_resource_types or []) | map('string')
    ) -%}
{%- endmacro %}

{#
    The condition on rows that are still to be tested: `batch` of a ledger, `date` of figures by date, `date or level` where levels move on by
    themselves, `month` of figures by month without levels, `period` of what is made anew until its period is closed, `close` of what is frozen. Always
    comparisons with literals, so that DuckDB reads only the parts of tables in which such rows may be.
#}
{% macro untested(by) -%}
    {%- set posted = ref('int_usage_posted') if by in ('date', 'date or level', 'month') -%}
    {%- set levels = ref('int_levels_by_hour') if by == 'date or level' -%}
    {%- set receipts = ref('stg_finalized__receipts') if by in ('period', 'close', 'date or level') -%}
    {%- set known = tested_batch() | int -%}
    {%- set is_tested = 'cutoff_batch_id < ' ~ known -%}
    {%- if known == 0 -%}
        true
    {%- elif by == 'batch' -%}
        batch_id > {{ known }}
    {%- elif by == 'month' -%}
        first_date in ({{ literals("date_trunc('month', billing_date)::date", posted, 'batch_id > ' ~ known) }})
    {%- elif by == 'period' -%}
        {{ beside_closed_periods(receipts, is_tested) }}
    {%- elif by == 'close' -%}
        billing_period in ({{ literals('billing_period', receipts, 'not ' ~ is_tested) }})
    {%- elif by == 'date or level' -%}
        billing_date in ({{ literals(
            'billing_date',
            '(select billing_date, batch_id > ' ~ known ~ ' as is_untested from ' ~ posted ~ ' union all select billing_date, billing_period not in '
            ~ '(select billing_period from ' ~ receipts ~ ' where ' ~ is_tested ~ ') from ' ~ levels ~ ')',
            'is_untested'
        ) }})
    {%- else -%}
        billing_date in ({{ literals('billing_date', posted, 'batch_id > ' ~ known) }})
    {%- endif -%}
{%- endmacro %}

{#
    The condition on rows of any period but the months that are closed one after the other from the first on; `is_tested`: of which receipts. What is closed
    beyond a month that is not (a rare thing) is looked at, too.
#}
{% macro beside_closed_periods(receipts, is_tested) -%}
    {%- set closed = run_query("
        with closed as (
            select billing_period, date_diff('month', date '0001-01-01', (billing_period || '-01')::date) - row_number() over (order by billing_period) as open_before
            from " ~ receipts ~ "
            where " ~ is_tested ~ "
        )
        select min(billing_period), max(billing_period) from closed where open_before = (select min(open_before) from closed)
    ").rows[0] if execute else [none, none] -%}
    {%- if closed[0] is none -%}
        true
    {%- else -%}
        (billing_period < '{{ closed[0] }}' or billing_period > '{{ closed[1] }}' or billing_period is null)
    {%- endif -%}
{%- endmacro %}

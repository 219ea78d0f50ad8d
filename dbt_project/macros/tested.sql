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

{# The condition on rows that are still to be tested: `batch` of a ledger, `date` of figures by date, `date or level` where levels move on by themselves, `period` of figures by period, `close` of what is frozen. #}
{% macro untested(by) -%}
    {%- set posted = ref('int_usage_posted') if by in ('date', 'date or level') -%}
    {%- set receipts = ref('stg_finalized__receipts') if by in ('period', 'close') -%}
    {%- set known = tested_batch() | int -%}
    {%- if known == 0 -%}
        true
    {%- elif by == 'batch' -%}
        batch_id > {{ known }}
    {%- elif by == 'period' -%}
        (billing_period in ({{ literals('billing_period', receipts, 'cutoff_batch_id < ' ~ known) }})) is not true
    {%- elif by == 'close' -%}
        billing_period in ({{ literals('billing_period', receipts, 'cutoff_batch_id >= ' ~ known) }})
    {%- else -%}
        (
            billing_date in ({{ literals('billing_date', posted, 'batch_id > ' ~ known) }})
            {%- if by == 'date or level' %} or {{ aggregates_by('aggregation', 'level') }}{% endif -%}
        )
    {%- endif -%}
{%- endmacro %}

{#
    Events are coded: what they say of what was used (a kind) and of who used it (a holder) stands once in int_kinds_decided and int_holders_decided,
    and the ledger of decisions names it by number. Texts are then compared, decided and written a few hundred times instead of once per event.
#}

{# What an event says of what was used. #}
{% macro kind_columns() -%}
    {{ return(['producer', 'metric', 'unit', 'sku', 'region', 'sampling_rate']) }}
{%- endmacro %}

{# The keys by which an event says who used it, in rule 6's order. #}
{% macro holder_columns() -%}
    {{ return(['account_id', 'api_key', 'namespace', 'resource_id']) }}
{%- endmacro %}

{# Join condition: both name the same, absent values included. #}
{% macro same(left, right, columns) -%}
    {%- for column in columns %}{{ left }}.{{ column }} is not distinct from {{ right }}.{{ column }}{{ ' and ' if not loop.last }}{% endfor -%}
{%- endmacro %}

{# The batch in which a decided kind or holder is decided anew; null while it is in force. #}
{% macro decided_until(columns) -%}
    min(known_from_batch) over (
        partition by {{ columns | join(', ') }} order by known_from_batch range between 1 following and unbounded following
    )
{%- endmacro %}

{# Columns that say whose usage it is, and of what, from the relations `items` and `accounts` below. `unit`: that of the quantity beside them. #}
{% macro described_series(unit='items.billed_unit') -%}
    accounts.resolved_account_id as account_id,
    items.metric,
    items.billed_sku as sku,
    items.region,
    {{ unit }} as unit
{%- endmacro %}

{# The same, and how events become the quantity. #}
{% macro described_columns(unit='items.billed_unit') -%}
    {{ described_series(unit) }},
    items.aggregation
{%- endmacro %}

{#
    Joins to what is described: an item and an account are named by the first of their kinds and holders. Without the database, so that a view can be read
    from a file that is opened under another name.
#}
{% macro join_described(coded) -%}
    inner join {{ in_warehouse(ref('int_kinds_decided')) }} as items on {{ coded }}.item_id = items.kind_id
    inner join {{ in_warehouse(ref('int_holders_decided')) }} as accounts on {{ coded }}.account_number = accounts.holder_id
{%- endmacro %}

{# Where the number of the first new row of an append-only table starts. #}
{% macro last_number(column) -%}
    {%- if is_incremental() %}(select coalesce(max({{ column }}), 0) from {{ this }}){% else %}0{% endif -%}
{%- endmacro %}

{# The last batch that the ledger of decisions has taken in: for models that say what its next run must look at. #}
{% macro ledger_watermark() -%}
    {%- set ledger = adapter.get_relation(database=this.database, schema=this.schema, identifier='int_events_decided') if execute -%}
    {%- if ledger and not should_full_refresh() -%}
        {{- run_query('select coalesce(max(batch_id), 0) from ' ~ ledger).columns[0].values()[0] -}}
    {%- else -%}
        0
    {%- endif -%}
{%- endmacro %}

{# What becomes of a record, as a number of one byte that reads as a text. #}
{% macro outcome(name) -%}
    '{{ name }}'::enum('attributed', 'unattributed', 'held', 'duplicate')
{%- endmacro %}

{# A batch after all batches. #}
{% macro forever() -%}
    9223372036854775807
{%- endmacro %}

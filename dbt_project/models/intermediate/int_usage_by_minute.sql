-- depends_on: {{ ref('int_postings_by_period') }}
-- Usage per minute, coded, for peaks and percentiles of what sums: they do not add up from parts. Minutes of touched dates are computed again.
-- Most minutes hold one event, so whatever each of them has to sum is felt: whether its entries cancel out is only asked where something was reversed.
{{ config(materialized='incremental', incremental_strategy='append', pre_hook="{{ forget_touched('billing_date') }}") }}
{%- set ledger = ref('int_events_decided') %}
{%- set is_built = execute and load_relation(ledger) is not none %}
{%- set only_adds = is_built and run_query('select not exists (from ' ~ ledger ~ ' where entry < 0)').columns[0].values()[0] %}

with entries as (
    select * from {{ ref('int_entries_shown') }}
    where {{ aggregates_by('aggregation', 'summing') }} and {{ is_touched() }}
),

minutes as (
    select
        billing_date,
        date_trunc('minute', event_ts) as usage_minute,
        account_number,
        item_id,
        sum(if(entry > 0, quantity, -quantity))::decimal(38, 9) as quantity
    from entries
    group by all
    {% if not only_adds %}having sum(entry) <> 0{% endif %}
)

select *, (select max(batch_id) from {{ ref('int_usage_posted') }}) as last_batch_id from minutes

-- depends_on: {{ ref('int_postings_by_period') }}
-- Usage per minute, coded, for peaks and percentiles of what sums: they do not add up from parts. Minutes of touched dates are computed again.
{{ config(materialized='incremental', incremental_strategy='append', pre_hook="{{ forget_touched('billing_date') }}") }}

with entries as (
    select * from {{ ref('int_entries_shown') }}
    where {{ aggregates_by('aggregation', 'summing') }}
    {%- if is_incremental() %} and billing_date in ({{ touched('billing_date') }}){% endif %}
),

minutes as (
    select
        billing_date,
        date_trunc('minute', event_ts) as usage_minute,
        account_number,
        item_id,
        sum(if(entry > 0, quantity, -quantity))::decimal(38, 9) as quantity,
        max(batch_id) as last_batch_id
    from entries
    group by all
    having sum(entry) <> 0
)

select * from minutes

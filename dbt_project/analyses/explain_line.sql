-- An invoice line walked down, in SQL: dbt show --select explain_line --vars '{line_id: line-…}' --limit 1000
-- One row per item of each step (line, tiers, days, hours, postings, batches, files, rows). Within each step from days on the quantities sum to the
-- line's, and the tiers' amounts to its precise amount: `step_quantity` and `step_amount` hold these sums, so that a step that does not add up is seen.
-- What does not add up (a maximum, a level) has events in these steps, and no quantities. A reversal of an adjustment shows what it takes back with a minus. Final lines too: their entries are those up to the period's cutoff.
with line as (
    select * from {{ ref('invoice_lines') }} where line_id = '{{ var("line_id", "") }}'
),

tiers as (
    select * from {{ ref('invoice_line_tiers') }} where line_id = '{{ var("line_id", "") }}'
),

entries as (
    select
        found.* replace (if({{ aggregates_by('found.aggregation', 'adding') }}, found.quantity, null) as quantity),
        if(line.line_type = 'adjustment' and line.quantity < 0, -1, 1) * found.entry as signed_entry
    from billing.line_entries('{{ var("line_id", "") }}') as found
    cross join line
),

steps as (
    select 1 as step_number, 'line' as step, line_id as item, quantity, null::bigint as event_count, precise_amount as amount
    from line
    union all
    select 2, 'tiers', 'tier ' || tier_number, tier_quantity, null, tier_amount
    from tiers
    {%- for step, item in [
        ('days', "billing_date::varchar"),
        ('hours', "strftime(usage_hour, '%Y-%m-%d %H:00Z')"),
        ('postings', "strftime(usage_hour, '%Y-%m-%d %H:00Z') || ', batch ' || batch_id"),
        ('batches', "'batch ' || batch_id"),
        ('files', "'batch ' || landed_batch_id || ', ' || coalesce(file_name, 'file ' || file_order)"),
        ('rows', "'batch ' || landed_batch_id || ', ' || coalesce(file_name, 'file ' || file_order) || ', row ' || row_number || ': ' || producer || '/' || event_id"),
    ] %}
    union all
    select {{ loop.index + 2 }}, '{{ step }}', {{ item }}, sum(signed_entry * quantity)::decimal(38, 9), sum(signed_entry)::bigint, null
    from entries
    group by {{ item }}
    {%- endfor %}
)

select
    *,
    sum(quantity) over (partition by step_number)::decimal(38, 9) as step_quantity,
    sum(amount) over (partition by step_number)::decimal(38, 12) as step_amount
from steps
order by step_number, item

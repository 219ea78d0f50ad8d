-- The ledger of usage, coded: what each batch adds to (or takes from) an hour of an account. Append-only; int_usage_postings reads it in full. A batch
-- came after a period's close or it did not: no later close changes that, because it takes in all batches that there are.
{{ config(materialized='incremental', incremental_strategy='append') }}

with entries as (
    select * from {{ ref('int_events_attributed') }}
    where outcome = 'attributed' and event_weight <> 0 and batch_id > {{ watermark() }}
),

receipts as (
    select *, (billing_period || '-01')::date as first_date from {{ ref('stg_finalized__receipts') }}
),

posted as (
    select
        batch_id,
        usage_hour,
        billing_date,
        account_number,
        item_id,
        sum(if(entry > 0, quantity, -quantity))::decimal(38, 9) as quantity,
        sum(entry)::bigint as event_count,
        sum(if(entry > 0, quantity_variance, -quantity_variance))::decimal(38, 9) as quantity_variance
    from entries
    group by all
),

judged as (
    select
        posted.*,
        coalesce(posted.batch_id > receipts.cutoff_batch_id, false) as is_after_close
    from posted
    left join receipts on date_trunc('month', posted.billing_date)::date = receipts.first_date
)

select * from judged

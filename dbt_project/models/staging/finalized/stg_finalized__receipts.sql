with source as (
    select * from {{ read_landed('finalized', 'receipts') }}
),

receipts as (
    select
        receipt ->> 'billing_period' as billing_period,
        (receipt ->> 'cutoff_batch_id')::bigint as cutoff_batch_id,
        ((receipt ->> 'finalized_at')::timestamptz at time zone 'UTC') as finalized_at,
        receipt_sha256
    from source
)

select * from receipts

-- The local date of each hour in which the ledger's next run finds usage, in each time zone: to ask the calendar costs 2 µs an event, a lookup 0.04. Null
-- where the hour has two dates, or the clock is changed in it (St John's did so at 00:01).
with hours as (
    select distinct usage_hour from {{ ref('int_hours_seen') }} where batch_id > {{ ledger_watermark() }}
),

zones as (
    select distinct billing_timezone from {{ ref('int_holders_decided') }}
),

spanned as (
    select
        billing_timezone,
        usage_hour,
        timezone(billing_timezone, timezone('UTC', usage_hour)) as local_from,
        timezone(billing_timezone, timezone('UTC', usage_hour + interval '59 minutes 59.999999 seconds')) as local_to
    from hours
    cross join zones
),

dated as (
    select
        billing_timezone,
        usage_hour,
        if(
            local_from::date = local_to::date and local_to - local_from = interval '59 minutes 59.999999 seconds', local_from::date, null
        ) as billing_date
    from spanned
)

select * from dated

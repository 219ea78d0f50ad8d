with entries as (
    select * from {{ ref('int_events_attributed') }} where outcome = 'unattributed' and event_weight <> 0
),

prices as (
    select * from {{ ref('stg_reference__prices') }}
),

tiers as (
    select * from {{ ref('stg_reference__price_tiers') }}
),

queued as (
    select
        event_ts::date as first_seen_date,
        key_type,
        key_value,
        metric,
        sku,
        region,
        unit,
        string_agg(distinct producer, ', ' order by producer) as producers,
        sum(entry * quantity)::decimal(38, 9) as quantity,
        sum(entry)::bigint as event_count
    from entries
    group by first_seen_date, key_type, key_value, metric, sku, region, unit
    having sum(entry) <> 0
),

-- list price: nobody's plan is known, so the highest first-tier unit price that was in force on that day for the SKU and region
listed as (
    select
        queued.*,
        prices.currency_code,
        tiers.unit_price
    from queued
    left join prices
        on queued.sku = prices.sku
        and prices.region in (queued.region, '*')
        and (prices.valid_from is null or queued.first_seen_date >= prices.valid_from)
        and (prices.valid_to is null or queued.first_seen_date < prices.valid_to)
    left join tiers on prices.price_id = tiers.price_id and tiers.tier_number = 1
    -- one currency per row: US dollars where the SKU has a price in them
    qualify row_number() over (
        partition by queued.first_seen_date, key_type, key_value, metric, queued.sku, queued.region, unit
        order by tiers.unit_price is not null desc, prices.currency_code = 'USD' desc, prices.currency_code, tiers.unit_price desc
    ) = 1
),

priced as (
    select
        first_seen_date,
        key_type,
        key_value,
        metric,
        sku,
        region,
        unit,
        producers,
        quantity,
        event_count,
        case when unit_price is not null then {{ quantity_times_price('quantity', 'unit_price') }} end::decimal(38, 12) as amount_at_risk,
        currency_code,
        datediff('day', first_seen_date, ({{ as_of() }})::date)::integer as age_days
    from listed
)

select * from priced

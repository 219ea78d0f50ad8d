with postings as (
    select * from {{ ref('int_unattributed_posted') }}
),

kinds as (
    select * from {{ ref('int_kinds_decided') }}
),

holders as (
    select * from {{ ref('int_holders_decided') }}
),

prices as (
    select * from {{ ref('stg_reference__prices') }}
),

tiers as (
    select * from {{ ref('stg_reference__price_tiers') }}
),

queued as (
    select
        postings.first_seen_date,
        holders.key_type,
        holders.key_value,
        kinds.metric,
        kinds.billed_sku as sku,
        kinds.region,
        kinds.billed_unit as unit,
        array_to_string(list_sort(list_distinct(list(kinds.producer))), ', ') as producers,
        sum(postings.quantity)::decimal(38, 9) as quantity,
        sum(postings.event_count)::bigint as event_count
    from postings
    left join kinds on postings.kind_id = kinds.kind_id
    left join holders on postings.holder_id = holders.holder_id
    group by all
    having sum(postings.event_count) <> 0
),

-- the days on which a list price may change; between two of them it is one
changes as (
    select distinct seen.sku, seen.region, unnest([date '0001-01-01', prices.valid_from, prices.valid_to]) as from_date
    from (select distinct sku, region from queued) as seen
    inner join prices on seen.sku = prices.sku and prices.region in (seen.region, '*')
),

-- list price: nobody's plan is known, so the highest first-tier unit price that was in force on that day for the SKU and region
listed as (
    select changes.sku, changes.region, changes.from_date, prices.currency_code, tiers.unit_price
    from changes
    left join prices
        on changes.sku = prices.sku
        and prices.region in (changes.region, '*')
        and (prices.valid_from is null or changes.from_date >= prices.valid_from)
        and (prices.valid_to is null or changes.from_date < prices.valid_to)
    left join tiers on prices.price_id = tiers.price_id and tiers.tier_number = 1
    where changes.from_date is not null
    -- one currency per row: US dollars where the SKU has a price in them
    qualify row_number() over (
        partition by changes.sku, changes.region, changes.from_date
        order by tiers.unit_price is not null desc, prices.currency_code = 'USD' desc, prices.currency_code, tiers.unit_price desc
    ) = 1
),

priced as (
    select
        first_seen_date,
        key_type,
        key_value,
        metric,
        queued.sku,
        queued.region,
        unit,
        producers,
        quantity,
        event_count,
        case when unit_price is not null then {{ quantity_times_price('quantity', 'unit_price') }} end::decimal(38, 12) as amount_at_risk,
        currency_code,
        datediff('day', first_seen_date, ({{ as_of() }})::date)::integer as age_days
    from queued
    asof left join listed on queued.sku = listed.sku and queued.region = listed.region and queued.first_seen_date >= listed.from_date
)

select * from priced

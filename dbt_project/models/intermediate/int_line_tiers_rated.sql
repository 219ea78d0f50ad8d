-- What each tier of a line comes to. Free units come off first; a tier's upper edge is inside it, its lower edge is not; a quantity beyond a
-- finite last tier stays in the last tier. A slice charges what the period's quantity comes to at its end, less what it came to before it; a tier's
-- fee is charged in the slice that enters the tier. Each tier is rounded once at the 12th digit.
with measured as (
    select * from {{ ref('int_lines_measured') }}
),

lines as (
    select
        *,
        {{ after_free_units('quantity_before') }} as rated_before,
        {{ after_free_units('(quantity_before + quantity)') }} as rated_after,
        {{ after_free_units('period_quantity') }} as rated_in_period,
        pricing_model in ('graduated', 'graduated_percentage') as is_graduated
    from measured
),

tiers as (
    select
        price_id,
        tier_number,
        coalesce(unit_price, 0)::decimal(38, 12) as unit_price,
        coalesce(flat_fee, 0)::decimal(38, 12) as tier_fee,
        coalesce(rate_percent, 0)::decimal(38, 12) as rate_percent,
        coalesce(lag(up_to) over tiers_of_price, 0)::decimal(38, 9) as above,
        case when lead(tier_number) over tiers_of_price is not null then up_to end::decimal(38, 9) as up_to
    from {{ ref('stg_reference__price_tiers') }}
    window tiers_of_price as (partition by price_id order by tier_number)
),

entered as (
    select
        lines.*,
        tiers.tier_number,
        tiers.unit_price,
        tiers.rate_percent,
        tiers.tier_fee,
        case
            when is_graduated then {{ in_tier('rated_after') }} - {{ in_tier('rated_before') }}
            else rated_after - rated_before
        end::decimal(38, 9) as tier_quantity,
        -- 1: the slice enters the tier and owes its fee; -1: it leaves it again, which only usage that is taken back can do
        case
            when pricing_model in ('per_unit', 'package') then 0
            when is_graduated and tiers.tier_number > 1 then (rated_after > above)::integer - (rated_before > above)::integer
            else is_first_slice::integer
        end as fees
    from lines
    inner join tiers on lines.price_id = tiers.price_id
    where
        case
            -- each slice of the quantity in its tier
            when is_graduated then tiers.tier_number = 1 or greatest(rated_after, rated_before) > tiers.above
            -- all of the period's quantity in the tier that it reaches
            when pricing_model = 'volume'
                then (tiers.tier_number = 1 or rated_in_period > tiers.above) and (tiers.up_to is null or rated_in_period <= tiers.up_to)
            else tiers.tier_number = 1
        end
),

counted as (
    select
        * exclude (tier_fee, fees, is_graduated),
        case fees when 1 then tier_fee when -1 then -tier_fee else 0 end::decimal(38, 12) as flat_fee,
        case
            when pricing_model = 'flat' then 0
            when pricing_model = 'package' then ({{ packages('rated_after') }} - {{ packages('rated_before') }})::decimal(38, 9)
            else tier_quantity
        end::decimal(38, 9) as charged_quantity,
        if(pricing_model in ('percentage', 'graduated_percentage'), rate_percent, unit_price) as charged_price,
        if(pricing_model in ('percentage', 'graduated_percentage'), 100, 1)::hugeint as charged_per
    from entered
    -- a later slice shows only the tiers that it touches, but at least the first
    where tier_number = 1 or not is_graduated or tier_quantity <> 0 or fees <> 0
),

rated as (
    select
        *,
        ({{ quantity_times_price('charged_quantity', 'charged_price', 'charged_per') }} + flat_fee)::decimal(38, 12) as tier_amount
    from counted
)

select * from rated

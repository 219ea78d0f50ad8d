-- What each tier of a line comes to. Free units come off first; a tier's upper edge is inside it, its lower edge is not; a quantity beyond a
-- finite last tier stays in the last tier. Each tier is rounded once at the 12th digit.
with lines as (
    select
        *,
        (quantity - least(free_units, greatest(quantity, 0)))::decimal(38, 9) as rated_quantity
    from {{ ref('int_lines_measured') }}
),

tiers as (
    select
        price_id,
        tier_number,
        coalesce(unit_price, 0)::decimal(38, 12) as unit_price,
        coalesce(flat_fee, 0)::decimal(38, 12) as flat_fee,
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
        tiers.flat_fee,
        case
            when lines.pricing_model in ('graduated', 'graduated_percentage') and tiers.tier_number = 1
                then least(lines.rated_quantity, coalesce(tiers.up_to, lines.rated_quantity))
            when lines.pricing_model in ('graduated', 'graduated_percentage')
                then greatest(least(lines.rated_quantity, coalesce(tiers.up_to, lines.rated_quantity)) - tiers.above, 0)
            else lines.rated_quantity
        end::decimal(38, 9) as tier_quantity
    from lines
    inner join tiers on lines.price_id = tiers.price_id
    where
        case
            -- each slice of the quantity in its tier
            when lines.pricing_model in ('graduated', 'graduated_percentage') then tiers.tier_number = 1 or lines.rated_quantity > tiers.above
            -- all of the quantity in the tier that it reaches
            when lines.pricing_model = 'volume'
                then (tiers.tier_number = 1 or lines.rated_quantity > tiers.above) and (tiers.up_to is null or lines.rated_quantity <= tiers.up_to)
            else tiers.tier_number = 1
        end
),

counted as (
    select
        * exclude (flat_fee),
        -- per unit and per package have no fee
        case when pricing_model in ('per_unit', 'package') then 0 else flat_fee end::decimal(38, 12) as flat_fee,
        case
            when pricing_model = 'flat' then 0
            when pricing_model in ('percentage', 'graduated_percentage') then tier_quantity
            when pricing_model = 'package' then {{ divide_rounded_up(to_ninths('tier_quantity'), to_ninths('package_size')) }}::decimal(38, 9)
            else tier_quantity
        end::decimal(38, 9) as charged_quantity,
        if(pricing_model in ('percentage', 'graduated_percentage'), rate_percent, unit_price) as charged_price,
        if(pricing_model in ('percentage', 'graduated_percentage'), 100, 1)::hugeint as charged_per
    from entered
),

rated as (
    select
        *,
        ({{ quantity_times_price('charged_quantity', 'charged_price', 'charged_per') }} + flat_fee)::decimal(38, 12) as tier_amount
    from counted
)

select * from rated

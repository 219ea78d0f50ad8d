-- Discounts, per scenario: each takes its percentage of what the ones before it left of a line of usage or of a subscription. Lines are cut at the
-- days on which discounts begin and end, so those in force on a line's first day are in force on all of it.
with recursive usage_lines as (
    select * from {{ ref('int_lines_rated') }}
),

subscription_lines as (
    select * from {{ ref('int_subscriptions_rated') }}
),

discounts as (
    select * from {{ ref('stg_reference__discounts') }}
),

currencies as (
    select * from {{ ref('currencies') }}
),

base_lines as (
    select
        scenario, line_id, billing_period, account_id, metric, sku, region, plan_id, price_id, pricing_model, slice_from, first_date, last_date,
        currency_code, precise_amount
    from usage_lines
    union all by name
    select
        'billed' as scenario, line_id, billing_period, account_id, sku, '*' as region, slice_from, first_date, last_date,
        currency_code, precise_amount
    from subscription_lines
),

applying as (
    select
        base_lines.scenario,
        base_lines.line_id as base_line_id,
        discounts.discount_id,
        discounts.percent::decimal(38, 12) as percent,
        row_number() over (partition by base_lines.scenario, base_lines.line_id order by discounts.discount_id) as place
    from base_lines
    inner join discounts
        on base_lines.account_id = discounts.account_id and discounts.sku in (base_lines.sku, '*')
        and base_lines.first_date >= coalesce(discounts.valid_from, '-infinity'::date)
        and base_lines.first_date < coalesce(discounts.valid_to, 'infinity'::date)
),

taken_off as (
    select scenario, line_id as base_line_id, 0::bigint as place, null::varchar as discount_id, precise_amount as left_over, 0::decimal(38, 12) as precise_amount
    from base_lines
    where (scenario, line_id) in (select (scenario, base_line_id) from applying)
    union all
    select
        applying.scenario,
        applying.base_line_id,
        applying.place,
        applying.discount_id,
        (left_over - {{ quantity_times_price('left_over', 'applying.percent', 100, digits=12) }})::decimal(38, 12),
        (-{{ quantity_times_price('left_over', 'applying.percent', 100, digits=12) }})::decimal(38, 12)
    from taken_off
    inner join applying
        on taken_off.scenario = applying.scenario and taken_off.base_line_id = applying.base_line_id and taken_off.place + 1 = applying.place
)

select
    {{ line_id(["base_lines.billing_period", "base_lines.account_id", "'discount'", "taken_off.discount_id", "taken_off.base_line_id"]) }} as line_id,
    base_lines.* exclude (line_id, precise_amount),
    taken_off.discount_id,
    taken_off.base_line_id,
    taken_off.precise_amount,
    {{ round_to_minor_unit('taken_off.precise_amount', 'currencies.minor_unit') }} as amount
from taken_off
inner join base_lines on taken_off.scenario = base_lines.scenario and taken_off.base_line_id = base_lines.line_id
inner join currencies on base_lines.currency_code = currencies.currency_code
where taken_off.precise_amount <> 0

-- The invoice lines of periods that are not closed: what is charged as it is rated now, and the adjustments of closed ones. Here a line learns on whose
-- invoice it stands and what it comes to in the reporting currency; when its period closes it keeps both.
with charges as (
    select
        * exclude (scenario),
        billing_period as origin_period,
        charge_type as line_type
    from {{ ref('int_charges_rated') }}
    where scenario = 'billed'
),

minimums as (
    select
        * exclude (scenario, commitment_id),
        billing_period as origin_period,
        'minimum' as line_type,
        'minimum' as charge_type,
        commitment_id as reference_id
    from {{ ref('int_minimums_rated') }}
    where scenario = 'billed'
),

credits as (
    select
        * exclude (credit_id, burned_amount),
        billing_period as origin_period,
        'credit' as line_type,
        'credit' as charge_type,
        credit_id as reference_id,
        (-burned_amount)::decimal(38, 12) as precise_amount,
        (-burned_amount)::decimal(38, 6) as amount
    from {{ ref('int_credits_burned') }}
    where burned_amount > 0
),

adjustments as (
    select
        * exclude (origin_line_id, side),
        'adjustment' as line_type,
        origin_line_id as base_line_id
    from {{ ref('int_lines_adjusted') }}
),

families as (
    select * from {{ ref('int_account_families') }}
),

currencies as (
    select * from {{ ref('currencies') }}
),

fx_rates as (
    select * from {{ ref('stg_reference__fx_rates') }} where to_currency = '{{ var("reporting_currency") }}'
),

lines as (
    select * from charges
    union all by name
    select * from minimums
    union all by name
    select * from credits
    union all by name
    select * from adjustments
),

-- the last rate on or before the last day of the period
period_rates as (
    select
        lines.billing_period,
        lines.currency_code,
        arg_max(fx_rates.rate, fx_rates.rate_date) as fx_rate,
        max(fx_rates.rate_date) as fx_rate_date
    from (select distinct billing_period, currency_code from lines) as lines
    inner join fx_rates
        on lines.currency_code = fx_rates.from_currency
        and fx_rates.rate_date < (lines.billing_period || '-01')::date + interval 1 month
    where lines.currency_code <> '{{ var("reporting_currency") }}'
    group by all
),

reported as (
    select
        lines.* exclude (sku, region, quantity),
        coalesce(families.invoice_account_id, lines.account_id) as invoice_account_id,
        -- what concerns an account as a whole stands under no SKU and no region of its own
        coalesce(lines.sku, '*') as sku,
        coalesce(lines.region, '*') as region,
        coalesce(lines.quantity, 0)::decimal(38, 9) as quantity,
        '{{ var("reporting_currency") }}' as reporting_currency_code,
        period_rates.fx_rate_date,
        if(lines.currency_code = '{{ var("reporting_currency") }}', 1, period_rates.fx_rate)::decimal(38, 12) as rate,
        if(lines.currency_code = '{{ var("reporting_currency") }}', lines.amount, {{ quantity_times_price('lines.amount::decimal(38, 9)', 'period_rates.fx_rate::decimal(38, 12)') }})::decimal(38, 12) as converted_amount,
        reporting.minor_unit as reporting_minor_unit,
        'provisional' as status,
        1 as version
    from lines
    left join families on lines.account_id = families.account_id
    left join period_rates on lines.billing_period = period_rates.billing_period and lines.currency_code = period_rates.currency_code
    left join currencies as reporting on reporting.currency_code = '{{ var("reporting_currency") }}'
),

provisional_lines as (
    select
        * exclude (rate, converted_amount, reporting_minor_unit),
        rate as fx_rate,
        {{ round_to_minor_unit('converted_amount', 'reporting_minor_unit') }} as reporting_amount
    from reported
)

select * from provisional_lines

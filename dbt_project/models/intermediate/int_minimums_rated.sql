-- Minimum commitments: what usage, subscriptions and discounts of the account and the accounts below it fall short of the minimum. The deepest accounts
-- come first, because what a child is topped up by counts as billed for its parent. `billed`: of periods that are over and not closed; `known`: of closed
-- periods with late usage in the family, on all that is known of them by now (see int_usage_to_rate).
with recursive periods as (
    select * from {{ ref('int_periods_dated') }}
),

commitments as (
    select * from {{ ref('stg_reference__commitments') }}
),

families as (
    select * from {{ ref('int_account_families') }}
),

late_families as (
    select distinct late_usage.billing_period, families.invoice_account_id
    from {{ ref('late_usage') }} as late_usage
    inner join families on late_usage.account_id = families.account_id
),

all_charges as (
    select 'billed' as scenario, billing_period, account_id, currency_code, amount
    from {{ ref('int_charges_rated') }}
    where scenario = 'billed'
    union all
    select 'known' as scenario, origin_period, account_id, currency_code, amount
    from {{ ref('stg_finalized__invoice_lines') }}
    where charge_type in ('usage', 'subscription', 'discount')
    union all
    select 'known' as scenario, origin_period, account_id, currency_code, coalesce(known_amount, 0) - coalesce(billed_amount, 0)
    from {{ ref('int_charges_adjusted') }}
),

charges as (
    select scenario, billing_period, account_id, currency_code, sum(amount)::decimal(38, 6) as amount
    from all_charges
    group by all
),

currencies as (
    select * from {{ ref('currencies') }}
),

-- what is in force on the last day of the period
in_force as (
    select
        if(periods.status = 'final', 'known', 'billed') as scenario,
        periods.billing_period,
        periods.first_date,
        (periods.next_first_date - interval 1 day)::date as last_date,
        commitments.commitment_id,
        commitments.account_id,
        commitments.currency_code,
        commitments.minimum_amount::decimal(38, 12) as minimum_amount,
        families.invoice_account_id,
        families.member_account_ids,
        row_number() over (
            partition by periods.billing_period, families.invoice_account_id, commitments.currency_code
            order by families.depth desc, commitments.commitment_id
        ) as place
    from periods
    inner join commitments
        on periods.next_first_date > coalesce(commitments.valid_from, '-infinity'::date)
        and periods.next_first_date <= coalesce(commitments.valid_to, 'infinity'::date)
    inner join families on commitments.account_id = families.account_id
    left join late_families
        on periods.billing_period = late_families.billing_period and families.invoice_account_id = late_families.invoice_account_id
    where
        case periods.status
            when 'final' then late_families.billing_period is not null
            else periods.is_billed and periods.status = 'provisional'
        end
),

measured as (
    select
        in_force.*,
        currencies.minor_unit,
        coalesce(sum(charges.amount), 0)::decimal(38, 6) as charged_amount
    from in_force
    inner join currencies on in_force.currency_code = currencies.currency_code
    left join charges
        on in_force.scenario = charges.scenario and in_force.billing_period = charges.billing_period and in_force.currency_code = charges.currency_code
        and list_contains(in_force.member_account_ids, charges.account_id)
    group by all
),

-- one commitment after the other; `topped_up` is what the ones before it came to
walked as (
    select
        billing_period,
        invoice_account_id,
        currency_code,
        0::bigint as place,
        null::varchar as commitment_id,
        0::decimal(38, 12) as precise_amount,
        []::struct(account_id varchar, amount decimal(38, 6))[] as topped_up
    from measured
    group by all
    union all
    select
        measured.billing_period,
        measured.invoice_account_id,
        measured.currency_code,
        measured.place,
        measured.commitment_id,
        greatest(
            measured.minimum_amount - measured.charged_amount
            - coalesce(list_sum([top.amount for top in walked.topped_up if list_contains(measured.member_account_ids, top.account_id)]), 0),
            0
        )::decimal(38, 12) as shortfall,
        list_append(walked.topped_up, struct_pack(account_id := measured.account_id, amount := {{ round_to_minor_unit('shortfall', 'measured.minor_unit') }}))
    from walked
    inner join measured
        on walked.billing_period = measured.billing_period and walked.invoice_account_id = measured.invoice_account_id
        and walked.currency_code = measured.currency_code and walked.place + 1 = measured.place
)

select
    measured.scenario,
    {{ line_id(["measured.billing_period", "measured.account_id", "'minimum'", "measured.commitment_id"]) }} as line_id,
    measured.billing_period,
    measured.account_id,
    measured.commitment_id,
    measured.first_date,
    measured.last_date,
    measured.currency_code,
    walked.precise_amount,
    {{ round_to_minor_unit('walked.precise_amount', 'measured.minor_unit') }} as amount
from walked
inner join measured
    on walked.billing_period = measured.billing_period and walked.invoice_account_id = measured.invoice_account_id
    and walked.currency_code = measured.currency_code and walked.place = measured.place
where walked.precise_amount > 0

with closed_balances as (
    select * from {{ ref('stg_finalized__credit_balances') }}
),

credits as (
    select
        * exclude (granted_at, expires_at),
        coalesce(granted_at, '-infinity'::timestamp) as granted_at,
        coalesce(expires_at, 'infinity'::timestamp) as expires_at
    from {{ ref('stg_reference__credits') }}
),

accounts as (
    select account_id, coalesce(billing_timezone, 'UTC') as billing_timezone from {{ ref('stg_reference__accounts') }}
),

periods as (
    select * from {{ ref('int_periods_dated') }}
    where is_billed or billing_period in (select billing_period from {{ ref('invoice_lines') }})
),

burns as (
    select billing_period, reference_id as credit_id, (-sum(amount))::decimal(38, 6) as burned_amount
    from {{ ref('invoice_lines') }}
    where line_type = 'credit'
    group by all
),

-- every billed period from the first in which the credit may pay
dated as (
    select
        credits.credit_id,
        periods.billing_period,
        credits.account_id,
        credits.currency_code,
        periods.status,
        credits.amount::decimal(38, 6) as granted_amount,
        coalesce(burns.burned_amount, 0)::decimal(38, 6) as burned_amount,
        credits.expires_at <= timezone('UTC', timezone(accounts.billing_timezone, periods.next_first_date::timestamp)) as is_expired
    from credits
    inner join accounts on credits.account_id = accounts.account_id
    inner join periods on credits.granted_at < timezone('UTC', timezone(accounts.billing_timezone, periods.next_first_date::timestamp))
    left join burns on credits.credit_id = burns.credit_id and periods.billing_period = burns.billing_period
    where
        -- a credit that had expired before all that is billed has no balance to show
        credits.expires_at > timezone('UTC', timezone(accounts.billing_timezone, (select min(first_date) from periods)::timestamp))
),

running as (
    select
        *,
        (granted_amount - (sum(burned_amount) over earlier - burned_amount))::decimal(38, 6) as unburned_amount,
        coalesce(lag(is_expired) over earlier, false) as was_expired
    from dated
    window earlier as (partition by credit_id order by billing_period)
),

balanced as (
    select
        credit_id,
        billing_period,
        account_id,
        currency_code,
        if(was_expired, 0, unburned_amount)::decimal(38, 6) as opening_amount,
        burned_amount,
        if(is_expired and not was_expired, unburned_amount - burned_amount, 0)::decimal(38, 6) as expired_amount,
        if(is_expired, 0, unburned_amount - burned_amount)::decimal(38, 6) as closing_amount,
        if(status = 'final', 'final', 'provisional') as status
    from running
),

final as (
    select * from closed_balances
    union all by name
    select balanced.*
    from balanced
    anti join (select billing_period from {{ ref('stg_finalized__receipts') }}) as receipts using (billing_period)
)

select * from final

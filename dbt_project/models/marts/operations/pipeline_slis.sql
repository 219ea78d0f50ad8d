with conservation as (
    select * from {{ ref('event_conservation') }}
),

batches as (
    select * from {{ ref('batches') }}
),

periods as (
    select * from {{ ref('billing_periods') }} where status = 'final'
),

reconciliation as (
    select * from {{ ref('ledger_reconciliation') }}
),

by_day as (
    select
        batches.landed_at::date as sli_date,
        sum(conservation.attributed) as attributed,
        sum(conservation.unattributed) as unattributed,
        sum(conservation.duplicates) as duplicates,
        sum(conservation.records - conservation.rejected) as accepted,
        sum(abs(conservation.difference)) as difference,
        sum(batches.pii_values_masked) as pii_values_masked
    from conservation
    inner join batches on conservation.batch_id = batches.batch_id
    group by all
),

gaps as (
    select
        periods.finalized_at::date as sli_date,
        reconciliation.currency_code,
        sum(abs(reconciliation.difference_amount)) as gap,
        sum(abs(reconciliation.ledger_amount)) as booked
    from reconciliation
    inner join periods on reconciliation.billing_period = periods.billing_period
    group by all
),

measured as (
    select sli_date, 'attribution_success' as sli, {{ ratio('attributed', 'attributed + unattributed') }} as value from by_day
    union all
    select sli_date, 'duplicate_rate', {{ ratio('duplicates', 'accepted') }} from by_day
    union all
    select sli_date, 'conservation_difference', difference::decimal(38, 12) from by_day
    union all
    select sli_date, 'pii_values_masked', pii_values_masked::decimal(38, 12) from by_day
    union all
    -- of the periods closed on one day the worst; each period's own stands in billing_periods
    select finalized_at::date, 'finalization_drift', max(finalization_drift_ratio) from periods group by all
    union all
    select sli_date, 'reconciliation_gap', max({{ ratio('gap', 'booked') }}) from gaps group by sli_date
),

-- the house's targets: (SLI, target, how a value meets it)
targets (sli, target, meets) as (
    values
        ('attribution_success', 0.999, 'at_least'),
        ('duplicate_rate', 0.0001, 'below'),
        ('conservation_difference', 0, 'at_most'),
        -- masked or not, a producer should not have sent it
        ('pii_values_masked', 0, 'at_most'),
        ('finalization_drift', 0.01, 'below'),
        ('reconciliation_gap', 0.005, 'below')
),

judged as (
    select
        measured.sli_date,
        measured.sli,
        measured.value::decimal(38, 12) as value,
        targets.target::decimal(38, 12) as target,
        case targets.meets
            when 'at_least' then measured.value >= targets.target
            when 'at_most' then measured.value <= targets.target
            else measured.value < targets.target
        end as met
    from measured
    inner join targets on measured.sli = targets.sli
    where measured.value is not null
)

select * from judged

-- What the ledger enters for events that are not decided alone: members of a family of corrections, and events of earlier batches that what is known of
-- them has changed. A pair of entries (−1, +1) where the decision became another one; for a new member of a family its first entry.
with points as (
    select events.*, reconsidered.decided_batch_id, reconsidered.as_of_batch, reconsidered.entry
    from {{ ref('stg_lake__usage_events') }} as events
    inner join {{ ref('int_events_reconsidered') }} as reconsidered using (batch_id, file_order, row_number)
),

{{ decisions() }},

family_members as (
    select * from decided where entry = 0
),

taking_back as (
    select
        target_batch_id, target_file_order, target_row_number, as_of_batch,
        max(row(landed_batch_id, file_order, row_number)) as last_correction
    from family_members
    where is_in_effect
    group by all
),

superseded as (
    select members.landed_batch_id, members.file_order, members.row_number, members.as_of_batch
    from family_members as members
    inner join taking_back
        on members.target_batch_id = taking_back.target_batch_id and members.target_file_order = taking_back.target_file_order
        and members.target_row_number = taking_back.target_row_number and members.as_of_batch = taking_back.as_of_batch
    where members.correction = 'replace' and members.is_in_effect
        and taking_back.last_correction > row(members.landed_batch_id, members.file_order, members.row_number)
),

-- a retraction stands where its target stands
retractions as (
    select
        members.landed_batch_id,
        members.file_order,
        members.row_number,
        members.as_of_batch,
        {%- for column in ['outcome', 'outcome_reason', 'kind_id', 'holder_id', 'event_ts', 'billing_date'] %}
        targets.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from family_members as members
    inner join family_members as targets
        on members.target_batch_id = targets.landed_batch_id and members.target_file_order = targets.file_order
        and members.target_row_number = targets.row_number and members.as_of_batch = targets.as_of_batch
    where members.correction = 'retract' and members.is_in_effect
),

-- what corrections make of a record as of a batch: taken back by one that names it, superseded by a later one of the same target, or a retraction
verdicts as (
    select members.*, retractions.outcome is not null as is_retraction, retractions.* exclude (landed_batch_id, file_order, row_number, as_of_batch)
    from (
        select target_batch_id as landed_batch_id, target_file_order as file_order, target_row_number as row_number, as_of_batch from taking_back
        union
        select * from superseded
        union
        select landed_batch_id, file_order, row_number, as_of_batch from retractions
    ) as members
    left join retractions using (landed_batch_id, file_order, row_number, as_of_batch)
),

weighed as (
    select
        decided.* exclude (correction, target_batch_id, target_file_order, target_row_number, is_in_effect, as_of_batch)
        replace (
            {%- for column in ['outcome', 'outcome_reason', 'kind_id', 'holder_id', 'event_ts', 'billing_date'] %}
            if(coalesce(verdicts.is_retraction, false), verdicts.{{ column }}, decided.{{ column }}) as {{ column }},
            {%- endfor %}
            if(verdicts.landed_batch_id is null, decided.event_weight, 0) as event_weight,
            if(verdicts.landed_batch_id is null and decided.event_weight = 1, decided.quantity, 0)::decimal(38, 9) as quantity,
            if(verdicts.landed_batch_id is null and decided.event_weight = 1, decided.quantity_variance, 0)::decimal(38, 9) as quantity_variance
        )
    from decided
    left join verdicts
        on decided.landed_batch_id = verdicts.landed_batch_id and decided.file_order = verdicts.file_order
        and decided.row_number = verdicts.row_number and decided.as_of_batch = verdicts.as_of_batch
    where decided.entry <> 0
),

-- what was looked at again is entered where the decision changed, whatever numbers it is coded by
decided_again as (
    select
        weighed.*,
        row(
            outcome, outcome_reason, holders.key_type, holders.key_value, holders.resolved_account_id, date_trunc('hour', event_ts), billing_date, kinds.item_id,
            quantity, quantity_variance, event_weight, distinct_value,
            if({{ aggregates_by('kinds.aggregation', 'calendar') }}, holders.billing_timezone, null)
        )::varchar as decision
    from weighed
    left join kinds on weighed.kind_id = kinds.kind_id
    left join holders on weighed.holder_id = holders.holder_id
),

changed as (
    select * exclude (decision)
    from decided_again
    qualify batch_id = landed_batch_id or count(distinct decision) over (partition by landed_batch_id, file_order, row_number, batch_id) = 2
)

select * from changed

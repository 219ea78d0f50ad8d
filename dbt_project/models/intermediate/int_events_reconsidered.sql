-- The events that the ledger's next run must not decide alone. Events of earlier batches: what they name changed in the reference data, or a correction
-- takes them back, or the record they correct has landed; each is looked at as of the batch before (to be reversed) and as of the batch that decides (to be
-- entered). New events of both sorts, to be entered for the first time. And all that their families consist of, to be looked at and not entered (entry 0). Mostly none.
{%- set last_batch = ledger_watermark() %}

-- what changed with the first events or before them changed nothing that was decided
with changes as (
    select * from {{ ref('int_reference_changes') }}
    where batch_id > {{ last_batch }} and batch_id > (select min(batch_id) from {{ ref('int_hours_seen') }})
),

corrected as (
    select * from {{ ref('int_events_corrected') }}
),

-- the records that decide about each other: a target (the family's name) and the corrections that name it
families as (
    select
        target_batch_id as family_batch_id, target_file_order as family_file_order, target_row_number as family_row_number,
        correction_batch_id as batch_id, correction_file_order as file_order, correction_row_number as row_number
    from corrected
    union
    select target_batch_id, target_file_order, target_row_number, target_batch_id, target_file_order, target_row_number from corrected
),

-- events that landed before a change of something they name
touched_by_reference as (
    {%- for column in ['account_id', 'api_key', 'namespace', 'resource_id', 'metric'] %}
    select events.batch_id, events.file_order, events.row_number, changes.batch_id as decided_batch_id
    from {{ ref('stg_lake__usage_events') }} as events
    inner join changes
        on changes.entity_type = '{{ column }}' and events.{{ column }} = changes.entity_value and changes.batch_id > events.batch_id
    {{ 'union' if not loop.last }}
    {%- endfor %}
),

stirred as (
    select * from touched_by_reference
    union
    select batch_id, file_order, row_number, greatest(batch_id, family_batch_id) as decided_batch_id
    from families
    where greatest(batch_id, family_batch_id) > {{ last_batch }}
),

-- with a record its family is worth deciding again, and their families: a retraction follows its target, which may wait for its own
{%- for relatives, members in [('relatives', 'stirred'), ('relatives_of_relatives', 'relatives')] %}

{{ relatives }} as (
    select distinct families.batch_id, families.file_order, families.row_number, stirred_families.decided_batch_id
    from (
        select distinct families.family_batch_id, families.family_file_order, families.family_row_number, {{ members }}.decided_batch_id
        from {{ members }}
        inner join families using (batch_id, file_order, row_number)
    ) as stirred_families
    inner join families using (family_batch_id, family_file_order, family_row_number)
),
{%- endfor %}

touched as (
    select * from touched_by_reference
    union
    select * from relatives where decided_batch_id > batch_id
    union
    select * from relatives_of_relatives where decided_batch_id > batch_id
),

looked_at as (
    select touched.batch_id, file_order, row_number, decided_batch_id, decided_batch_id + knowledge.lag as as_of_batch, knowledge.entry
    from touched
    cross join (values (-1, -1), (0, 1)) as knowledge (lag, entry)
),

-- what a member of a family is decided by: the whole family as of the same batch. Looked at, and not entered (entry 0).
asked as (
    select distinct families.batch_id, families.file_order, families.row_number, asked_families.as_of_batch
    from (
        select family_batch_id, family_file_order, family_row_number, batch_id as as_of_batch from families where batch_id > {{ last_batch }}
        union
        select families.family_batch_id, families.family_file_order, families.family_row_number, looked_at.as_of_batch
        from looked_at
        inner join families using (batch_id, file_order, row_number)
    ) as asked_families
    inner join families using (family_batch_id, family_file_order, family_row_number)
    where families.batch_id <= asked_families.as_of_batch
),

first_entries as (
    select batch_id, file_order, row_number from families where batch_id > {{ last_batch }}
    union
    select batch_id, file_order, row_number from touched where batch_id > {{ last_batch }}
),

points as (
    select * from looked_at
    union all
    select batch_id, file_order, row_number, batch_id, batch_id, 1 from first_entries
    union all
    select batch_id, file_order, row_number, null, as_of_batch, 0 from asked
)

select * from points

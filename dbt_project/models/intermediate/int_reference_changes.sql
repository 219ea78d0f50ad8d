-- What a batch changed in the reference data that decisions rest on: the values whose events it makes worth deciding again.
with attribution_keys as (
    select * from {{ ref('int_attribution_keys_known') }}
),

metrics as (
    select * from {{ ref('stg_reference__metrics_known') }}
),

metric_units as (
    select * from {{ ref('int_metric_units_known') }}
),

boundaries as (
    select known_from_batch as batch_id, key_type as entity_type, key_value as entity_value from attribution_keys
    union
    select known_to_batch, key_type, key_value from attribution_keys
    union
    select known_from_batch, 'metric', metric from metrics
    union
    select known_to_batch, 'metric', metric from metrics
    union
    select known_from_batch, 'metric', metric from metric_units
    union
    select known_to_batch, 'metric', metric from metric_units
),

changes as (
    select * from boundaries where batch_id <= (select max(batch_id) from {{ ref('stg_lake__batches') }})
)

select * from changes

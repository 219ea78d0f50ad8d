-- The rules over one record, stated once for all formats: names of schema version 1, types, ranges, limits, reject reasons.
--
-- In:  `chunk` (fields.CHUNK_SCHEMA; dims already canonical), `negative_refused` (metric), $file_order, $landed_at.
-- Out: one row per record, in the order of the chunk: its typed values, `reasons` (sorted; empty: accepted), and `detail`, per
--      reason a sentence that says field, value and fault.
with versioned as (
    select
        *,
        case
            when nullif(schema_version, '') is null
                then
                    case
                        when coalesce("timestamp", source, "value") is not null
                            and coalesce(event_ts, producer, quantity) is null
                            then 1
                        else 2
                    end
            when regexp_full_match(schema_version, '1(\.0+)?') then 1
            when regexp_full_match(schema_version, '2(\.0+)?') then 2
        end as version
    from chunk
),

named as (
    select
        * exclude (schema_version, event_id, event_ts, producer, account_id, quantity, ingested_ts, metric, unit, sampling_rate, misshapen),
        unreadable is null and too_long is null as is_read,
        nullif(event_id, '') as event_id,
        schema_version as schema_version_text,
        nullif(case when version = 1 then "timestamp" else event_ts end, '') as event_ts_text,
        nullif(case when version = 1 then source when version = 2 then producer else coalesce(producer, source) end, '') as producer,
        nullif(case when version = 1 then account else account_id end, '') as account_id,
        nullif(case when version = 1 then "value" else quantity end, '') as quantity_text,
        nullif(ingested_ts, '') as ingested_ts_text,
        nullif(metric, '') as metric,
        nullif(unit, '') as unit,
        nullif(sampling_rate, '') as sampling_rate_text,
        -- a field of the other version is an unknown field, whose shape is free
        case
            when version = 1 and misshapen in ('producer', 'account_id') then null
            when version = 2 and misshapen in ('source', 'account') then null
            else misshapen
        end as misshapen,
        case
            when others is null then null
            when version = 1 then list_filter(others, lambda other: other.name not in ('timestamp', 'source', 'account', 'value'))
            else list_filter(others, lambda other: other.name not in ('event_ts', 'producer', 'account_id', 'quantity'))
        end as unknown_fields
    from versioned
),

typed as (
    select
        *,
        instant_of(event_ts_text) as event_ts,
        -- a time that no calendar of four digits holds is none: what reads the lake could not show it
        case
            when instant_of(ingested_ts_text) between timestamp '0001-01-01 00:00:00' and timestamp '9999-12-31 23:59:59.999999'
                then instant_of(ingested_ts_text)
        end as ingested_ts,
        exact_decimal(quantity_text) as quantity,
        exact_decimal(sampling_rate_text) as sampling_rate
    from named
),

judged as (
    select
        *,
        -- the contract has no reason for it: an unreadable ingestion time counts as absent, and its text is kept
        case
            when ingested_ts_text is not null and ingested_ts is null
                then
                    list_append(
                        coalesce(unknown_fields, []), {'name': 'ingested_ts', 'token': to_json(ingested_ts_text)::varchar}
                    )
            else unknown_fields
        end as extra_fields,
        case
            when unreadable is not null then ['malformed_record']
            when too_long is not null then ['oversized_field']
            when version is null then ['unsupported_schema_version']
            else
                list_filter(
                    [
                        case when event_ts is null and event_ts_text is not null then 'invalid_event_ts' end,
                        case
                            when event_ts < timestamp '2000-01-01 00:00:00'
                                or event_ts > least(
                                    coalesce(ingested_ts, $landed_at::timestamp) + interval 24 hour,
                                    timestamp '9999-12-31 23:59:59.999999'
                                )
                                then 'event_ts_out_of_range'
                        end,
                        case when quantity is null and quantity_text is not null then 'invalid_quantity' end,
                        case
                            when sampling_rate_text is not null and not coalesce(sampling_rate > 0 and sampling_rate <= 1, false)
                                then 'invalid_sampling_rate'
                        end,
                        case when misshapen is not null then 'malformed_record' end,
                        case when event_id is null then 'missing_event_id' end,
                        case when event_ts_text is null then 'missing_event_ts' end,
                        case when metric is null then 'missing_metric' end,
                        case when producer is null then 'missing_producer' end,
                        case when quantity_text is null then 'missing_quantity' end,
                        case when unit is null then 'missing_unit' end,
                        case
                            when quantity < 0 and metric in (select refused.metric from negative_refused as refused)
                                then 'negative_quantity'
                        end,
                        case
                            when strlen(event_id) > 256
                                or greatest(
                                    strlen(producer), strlen(metric), strlen(unit), strlen(sku), strlen(account_id),
                                    strlen(api_key), strlen(namespace), strlen(resource_id), strlen(region),
                                    strlen(corrects), strlen(correction)
                                ) > 4096
                                then 'oversized_field'
                        end
                    ],
                    lambda reason: reason is not null
                )
        end as reasons
    from typed
)

select
    $file_order::integer as file_order,
    row_number,
    record,
    list_sort(reasons) as reasons,
    case
        when len(reasons) > 0
            then
                array_to_string(
                    list_transform(
                        list_sort(reasons),
                        lambda reason: case
                            when reason = 'malformed_record' then coalesce(unreadable, misshapen || ' has the wrong type')
                            when reason = 'unsupported_schema_version'
                                then 'schema_version "' || left(schema_version_text, 80) || '" is neither 1 nor 2'
                            when reason = 'invalid_event_ts'
                                then
                                    'event_ts "' || left(event_ts_text, 80)
                                    || '" is neither ISO 8601 with offset nor epoch milliseconds'
                            when reason = 'event_ts_out_of_range' and event_ts < timestamp '2000-01-01 00:00:00'
                                then 'event_ts "' || left(event_ts_text, 80) || '" is before 2000-01-01'
                            when reason = 'event_ts_out_of_range'
                                then 'event_ts "' || left(event_ts_text, 80) || '" is more than 24 hours after ingestion'
                            when reason = 'invalid_quantity'
                                then
                                    'quantity "' || left(quantity_text, 80)
                                    || '" is not a decimal number of at most 29 digits before and 9 after the point'
                            when reason = 'negative_quantity'
                                then
                                    'quantity "' || left(quantity_text, 80)
                                    || '" is negative, which the metric does not allow'
                            when reason = 'invalid_sampling_rate'
                                then
                                    'sampling_rate "' || left(sampling_rate_text, 80)
                                    || '" is not in (0, 1] with at most 9 fractional digits'
                            when reason = 'oversized_field' and too_long is not null
                                then 'the record of ' || too_long || ' bytes is too long to be parsed'
                            when reason = 'oversized_field' then 'event_id is over 256 bytes, or another text over 4096'
                            else substr(reason, 9) || ' is missing'
                        end
                    ),
                    '; '
                )
    end as detail,
    version::smallint as schema_version,
    producer,
    event_id,
    event_ts,
    ingested_ts,
    metric,
    quantity,
    unit,
    nullif(sku, '') as sku,
    account_id,
    nullif(api_key, '') as api_key,
    nullif(namespace, '') as namespace,
    nullif(resource_id, '') as resource_id,
    nullif(region, '') as region,
    try_cast(sampling_rate as decimal(18, 9)) as sampling_rate,
    nullif(corrects, '') as corrects,
    nullif(correction, '') as correction,
    dims,
    object_of(extra_fields) as extra
from judged

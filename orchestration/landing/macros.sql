-- Small pieces that the readers' queries and validate.sql share.

-- Does a record with these keys hold any field outside the contract, or fields of both schema versions?
create macro has_others(names) as
    not list_has_all(
        [
            'schema_version', 'event_id', 'ingested_ts', 'metric', 'unit', 'sku', 'api_key', 'namespace', 'resource_id',
            'region', 'sampling_rate', 'corrects', 'correction', 'dims',
            'event_ts', 'producer', 'account_id', 'quantity', 'timestamp', 'source', 'account', 'value'
        ],
        names
    )
    or (
        list_has_any(names, ['event_ts', 'producer', 'account_id', 'quantity'])
        and list_has_any(names, ['timestamp', 'source', 'account', 'value'])
    );

-- The fields of a simple, compact JSON object without its dims, as (name, token), those of both versions left out.
create macro others_of(compact) as
    list_filter(
        list_transform(
            regexp_extract_all(compact, '"[^"]*":(?:"[^"]*"|[^",{}]+)'),
            lambda pair: {
                'name': regexp_extract(pair, '^"([^"]*)":', 1),
                'token': regexp_extract(pair, '^"[^"]*":(.*)$', 1)
            }
        ),
        lambda other: not list_contains(
            [
                'schema_version', 'event_id', 'ingested_ts', 'metric', 'unit', 'sku', 'api_key', 'namespace', 'resource_id',
                'region', 'sampling_rate', 'corrects', 'correction', 'dims'
            ],
            other.name
        )
    );

-- (name, token) pairs as a JSON object with sorted keys; null when there is none.
create macro object_of(others) as
    case
        when len(others) > 0
            then
                '{'
                || array_to_string(
                    list_transform(list_sort(others), lambda other: to_json(other.name)::varchar || ':' || other.token), ','
                )
                || '}'
    end;

-- An ISO 8601 date and time with offset (already known to have that form) as UTC; null for a date that does not exist.
-- Digits beyond the microsecond are cut off.
create macro instant_of_iso(iso) as
    try_cast(
        left(iso, 10) || ' ' || regexp_extract(substr(iso, 12), '^[0-9:]+')
        || coalesce('.' || nullif(left(regexp_extract(iso, '[.,]([0-9]+)', 1), 6), ''), '')
        as timestamp
    )
    - case
        when right(iso, 1) in ('Z', 'z') then interval 0 minute
        else
            to_minutes(
                (regexp_extract(iso, '([+-])[0-9:]+$', 1) || '1')::bigint
                * (
                    regexp_extract(iso, '[+-]([0-9]{2}):?[0-9]*$', 1)::bigint * 60
                    + coalesce(nullif(regexp_extract(iso, '[+-][0-9]{2}:?([0-9]{2})$', 1), ''), '0')::bigint
                )
            )
    end;

-- A leap second (second 60 of an ISO 8601 time with offset) counts as the last microsecond of its UTC day, so that it stays in its
-- day, its month and its order. It is one only where the end of a UTC month is; null elsewhere.
create macro instant_of_leap_second(iso) as
    list_extract(
        list_transform(
            [instant_of_iso(regexp_replace(iso, ':60([.,][0-9]+)?', ':59'))],
            lambda before: case
                when before = date_trunc('month', before) + interval 1 month - interval 1 second
                    then before + interval 999999 microsecond
            end
        ),
        1
    );

-- A time of the dump as UTC: ISO 8601 with offset (extended or basic form), or epoch milliseconds. Null for anything else.
-- An integer too long for a year anybody could mean comes out far away, to be found out of range.
create macro instant_of(dumped) as
    case
        when regexp_full_match(dumped, '[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?[Zz]')
            then try_cast(left(dumped, least(length(dumped) - 1, 26)) as timestamp)
        when regexp_full_match(
            dumped,
            '[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]+)?)?([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)'
        )
            then instant_of_iso(dumped)
        when regexp_full_match(
            dumped,
            '[0-9]{8}[Tt]([01][0-9]|2[0-3])[0-5][0-9]([0-5][0-9]([.,][0-9]+)?)?([Zz]|[+-]([01][0-9]|2[0-3])([0-5][0-9])?)'
        )
            then instant_of_iso(regexp_replace(
                regexp_replace(dumped, '^(....)(..)(..)(.)(..)(..)', '\1-\2-\3T\5:\6'), '^(.{16})([0-9]{2})', '\1:\2'
            ))
        when regexp_full_match(
            dumped, '[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:60([.,][0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)'
        )
            then instant_of_leap_second(dumped)
        when regexp_full_match(dumped, '-?[0-9]{1,15}') then epoch_ms(dumped::bigint)
        when regexp_full_match(dumped, '[0-9]{16,}') then timestamp '9999-12-31 00:00:00'
        when regexp_full_match(dumped, '-[0-9]{16,}') then timestamp '0001-01-01 00:00:00'
    end;

-- A number without exponent, as text, as DECIMAL(38,9): null unless it is exactly one. Zeros at either end do not count.
create macro exact_decimal(dumped) as
    case
        -- nearly all: 64 bits hold it, which takes a tenth of the time
        when regexp_full_match(dumped, '-?[0-9]{1,9}(\.[0-9]{1,9})?') then dumped::decimal(18, 9)::decimal(38, 9)
        when regexp_full_match(dumped, '[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)')
            and regexp_full_match(dumped, '[+-]?0*[0-9]{0,29}(\.[0-9]{0,9}0*)?')
            then try_cast(regexp_replace(regexp_replace(dumped, '^([+-]?)0+([0-9])', '\1\2'), '(\.[0-9]{9})0+$', '\1') as decimal(38, 9))
    end;

-- Who used it, decided: whose usage the keys of an event stand for, by the first that resolves as of the time of the event, as of each batch that
-- changed what is known of them. Append-only; a holder keeps its number. account_number: one for all holders of an account, null for nobody.
{{ config(materialized='incremental', incremental_strategy='append') }}

with all_seen as (
    select {{ holder_columns() | join(', ') }}, min(batch_id) as seen_batch_id
    from {{ ref('int_holders_seen') }}
    group by all
),

seen as materialized (
    select *, row_number() over () as place from all_seen
),

attribution_keys as (
    select * from {{ ref('int_attribution_keys_known') }}
),

-- what the keys of a holder stand for, in the contract's order of precedence
claims as (
    {%- for column in holder_columns() %}
    select
        seen.place, {{ loop.index }} as precedence, '{{ column }}' as key_type, keys.key_value, keys.account_id, keys.billing_timezone,
        keys.valid_from, keys.valid_to, keys.known_from_batch, keys.known_to_batch
    from seen
    inner join attribution_keys as keys on keys.key_type = '{{ column }}' and seen.{{ column }} = keys.key_value
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

known_from as (
    select place, 0 as known_from_batch from seen
    union
    select place, known_from_batch from claims
    union
    select place, known_to_batch from claims where known_to_batch <= (select max(batch_id) from {{ ref('stg_lake__batches') }})
),

claims_known as (
    select claims.* exclude (known_from_batch, known_to_batch), known_from.known_from_batch
    from known_from
    inner join claims
        on known_from.place = claims.place and known_from.known_from_batch >= claims.known_from_batch
        and known_from.known_from_batch < claims.known_to_batch
),

bounds as (
    select place, known_from_batch, '-infinity'::timestamp as valid_from from known_from
    union
    select place, known_from_batch, valid_from from claims_known
    union
    select place, known_from_batch, valid_to from claims_known where valid_to < 'infinity'::timestamp
),

spans as (
    select *, lead(valid_from, 1, 'infinity'::timestamp) over (partition by place, known_from_batch order by valid_from) as valid_to from bounds
),

resolved as (
    select
        spans.*,
        claims_known.account_id as resolved_account_id,
        claims_known.key_type as resolved_key_type,
        claims_known.key_value as resolved_key_value,
        claims_known.billing_timezone
    from spans
    left join claims_known
        on spans.place = claims_known.place and spans.known_from_batch = claims_known.known_from_batch
        and spans.valid_from >= claims_known.valid_from and spans.valid_from < claims_known.valid_to
    qualify row_number() over (partition by spans.place, spans.known_from_batch, spans.valid_from order by claims_known.precedence) = 1
),

decided as (
    select
        seen.* exclude (place),
        resolved.known_from_batch,
        resolved.valid_from,
        resolved.valid_to,
        resolved.resolved_account_id,
        -- nobody: the key that should have told, the most telling first
        case
            when resolved_account_id is not null then resolved_key_type
            {%- for column in holder_columns() %}
            when seen.{{ column }} is not null then '{{ column }}'
            {%- endfor %}
            else 'none'
        end as key_type,
        if(resolved_account_id is not null, resolved_key_value, coalesce({{ holder_columns() | join(', ') }})) as key_value,
        coalesce(resolved.billing_timezone, 'UTC') as billing_timezone
    from resolved
    inner join seen on resolved.place = seen.place
),

numbered as (
    select
        {{ last_number('holder_id') }} + row_number() over (
            order by greatest(seen_batch_id, known_from_batch), {{ holder_columns() | join(', ') }}, known_from_batch, valid_from
        ) as holder_id,
        decided.* exclude (seen_batch_id)
    from decided
    {% if is_incremental() -%}
    anti join {{ this }} as before
        on {{ same('decided', 'before', holder_columns()) }}
        and decided.known_from_batch = before.known_from_batch and decided.valid_from = before.valid_from
    {%- endif %}
),

all_holders as (
    select *, true as is_new from numbered
    {%- if is_incremental() %}
    union all by name
    select * exclude (account_number), false as is_new from {{ this }}
    {%- endif %}
),

accounts as (
    select
        *,
        if(resolved_account_id is null, null, min(holder_id) over (partition by resolved_account_id)) as account_number
    from all_holders
)

select * exclude (is_new) from accounts where is_new

-- Failure it prevents: a price without tiers, a plan of an account that does not exist, a key of nobody: usage that would wait in a queue for no reason.
{{ config(severity='warn') }}
select 'prices' as table_name, price_id as key, 'has no tiers' as fault from {{ ref('stg_reference__prices') }}
where price_id not in (select price_id from {{ ref('stg_reference__price_tiers') }})
union all
select 'price_tiers', price_id, 'belongs to no price' from {{ ref('stg_reference__price_tiers') }}
where price_id not in (select price_id from {{ ref('stg_reference__prices') }})
union all
select 'account_plans', account_id, 'is no account' from {{ ref('stg_reference__account_plans') }}
where account_id not in (select account_id from {{ ref('stg_reference__accounts') }})
union all
select 'attribution_keys', key_type || ' ' || key_value, 'maps to no account' from {{ ref('stg_reference__attribution_keys') }}
where account_id not in (select account_id from {{ ref('stg_reference__accounts') }})
union all
select 'metrics', metric, 'has a default SKU that is not in skus' from {{ ref('stg_reference__metrics') }}
where default_sku not in (select sku from {{ ref('stg_reference__skus') }})
union all
select 'skus', sku, 'has a metric that is not in metrics' from {{ ref('stg_reference__skus') }}
where metric not in (select metric from {{ ref('stg_reference__metrics') }})

-- Failure it prevents: a division or an average that turned into DOUBLE and lost a cent. Asks the catalog; no model of ours has a float.
-- depends_on: {{ ref('invoice_lines') }}
-- depends_on: {{ ref('usage_monthly') }}
-- depends_on: {{ ref('ledger_reconciliation') }}
-- depends_on: {{ ref('unattributed_usage') }}
select schema_name, table_name, column_name, data_type
from duckdb_columns()
where
    database_name = current_database()
    and schema_name in ('staging', 'intermediate', 'usage', 'billing', 'finance', 'operations')
    and (data_type like '%DOUBLE%' or data_type like '%FLOAT%')

"""What stands in a database file: its relations and columns with their comments."""

COLUMNS = """
    select schema_name, table_name, column_name, data_type, comment, is_nullable
    from duckdb_columns() where database_name = $1 and not internal order by schema_name, table_name, column_index
"""
# with the SQL of views, which show the same where their tables hold the same
RELATIONS = """
    select schema_name, table_name, comment, null as sql from duckdb_tables() where database_name = $1 and not internal
    union all
    select schema_name, view_name, comment, sql from duckdb_views() where database_name = $1 and not internal
    order by all
"""
# the smallest first
TABLES = """
    select schema_name, table_name
    from duckdb_tables() where database_name = $1 and not internal order by estimated_size, schema_name, table_name
"""

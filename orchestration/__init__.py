"""Everything of the usage warehouse that is not SQL: landing, running dbt, gates, closing, publishing, scheduling.

The rooms, front to back: settings → landing → warehouse → gates → closing → publishing → operations → scheduling. A room
imports only from rooms before it; `definitions.py` (Dagster) and `cli.py` wire them together and are imported by nobody.
"""

"""Publishing: what each audience may open, and what it may take away.

The door of this room: `publish` puts `published/<audience>.duckdb` in place, in two parts where it was `begun`; `export` writes files
from one of them.
"""

from orchestration.publishing.audiences import AUDIENCES
from orchestration.publishing.building import Publishing, begun, publish
from orchestration.publishing.exporting import FORMATS, export

__all__ = ["AUDIENCES", "FORMATS", "Publishing", "begun", "export", "publish"]

"""Publishing: what each audience may open, and what it may take away.

The door of this room: `publish` puts `published/<audience>.duckdb` in place, in two parts where it was `begun`, from files that were
`copied_ahead`; `export` writes files from one of them.
"""

from orchestration.publishing.audiences import AUDIENCES
from orchestration.publishing.building import Publishing, begun, publish
from orchestration.publishing.exporting import FORMATS, export
from orchestration.publishing.keeping import copied_ahead

__all__ = ["AUDIENCES", "FORMATS", "Publishing", "begun", "copied_ahead", "export", "publish"]

"""The expectation behind every gate: no row may break it; rows that do are shown in full, in results and Data Docs.

Importing this module imports Great Expectations, which takes seconds: only `build_suite` does, when gates run.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

import great_expectations.expectations as gxe
from great_expectations.constants import MAX_RESULT_RECORDS
from great_expectations.render import RenderedTableContent
from great_expectations.render.components import LegacyDiagnosticRendererType
from great_expectations.render.renderer.renderer import renderer

MAX_ROWS_SHOWN = 20


def as_plain(value: Any) -> Any:
    """A value as JSON can hold it without losing a digit: decimals and dates become text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    return value.isoformat() if isinstance(value, date) else value


class ExpectNoBreakingRows(gxe.UnexpectedRowsExpectation):
    """UnexpectedRowsExpectation that asks once and keeps the first breaking rows exactly.

    Its parent runs the query twice, for the rows and for their number, and turns decimals into floats. How many rows
    break a gate matters only when some do.
    """

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table",)

    def _validate(self, metrics: dict, runtime_configuration: Any = None, execution_engine: Any = None) -> Any:
        rows = metrics["unexpected_rows_query.table"]
        shown = [{key: as_plain(value) for key, value in row.items()} for row in rows[:MAX_ROWS_SHOWN]]
        observed = f"{MAX_RESULT_RECORDS} or more" if len(rows) == MAX_RESULT_RECORDS else len(rows)
        return {"success": not rows, "result": {"observed_value": observed, "details": {"unexpected_rows": shown}}}

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_TABLE)
    def _diagnostic_unexpected_table_renderer(cls, configuration: Any = None, result: Any = None, **_: Any) -> Any:
        """The breaking rows as a table of the validation page."""
        rows = (result.result.get("details") or {}).get("unexpected_rows") if result else None
        if not rows:
            return None
        return [
            RenderedTableContent(
                content_block_type="table",
                header_row=list(rows[0]),
                table=[["" if value is None else str(value) for value in row.values()] for row in rows],
                styling={"body": {"classes": ["table-bordered", "table-sm", "mt-3"]}},
            )
        ]

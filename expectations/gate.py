"""What a gate is: the SQL of the rows that break it, said once, and how gates become a Great Expectations suite.

A gate's SQL is constant text. What changes from run to run (period, days, cutoff) is one row, the *scope*: it is the
batch that the suite runs on, and every gate reads it as `{batch}`. So the stored suite, the Data Docs and the evidence
shown for a failed gate all come from the same words.

Gates that look at millions of rows look at them by day: in a nightly run at the days that its batches touched, before a
close at all of them.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from expectations.relations import RELATIONS, TO_LOOK_AT

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

PERIOD = re.compile(r"2[0-9]{3}-(0[1-9]|1[0-2])")  # no event is older than the year 2000


@dataclass(frozen=True)
class Scope:
    """What a run of the gates looks at: the marts of `billing_period` (`YYYY-MM`), postings ≤ `cutoff_batch_id`.

    `days` are those that gates by day look at: the first, and the one after the last. None: the whole period's.
    """

    billing_period: str
    cutoff_batch_id: int
    days: tuple[date, date] | None = None

    def __post_init__(self) -> None:
        if not PERIOD.fullmatch(self.billing_period):
            raise ValueError(f"not a billing period (YYYY-MM): {self.billing_period!r}")

    @property
    def first_date(self) -> date:
        return date.fromisoformat(f"{self.billing_period}-01")

    @property
    def next_date(self) -> date:
        """The day after the period's last one: windows are half-open."""
        first = self.first_date
        return date(first.year + first.month // 12, first.month % 12 + 1, 1)

    def sql(self) -> str:
        """The scope as a one-row query."""
        from_date, until_date = self.days or (self.first_date, self.next_date)
        return (
            f"select '{self.billing_period}' as billing_period, date '{self.first_date}' as first_date, "
            f"date '{self.next_date}' as next_date, cast({self.cutoff_batch_id:d} as bigint) as cutoff_batch_id, "
            f"date '{from_date}' as from_date, date '{until_date}' as until_date"
        )


@dataclass(frozen=True)
class Gate:
    """One thing that finance signs before a period closes.

    `name` is public. `proves` is the sentence that is true when no row comes back. `limit` is what is allowed and `why`
    its reason. `reads` names the relations (expectations/relations.py) that `breaks` selects from. `breaks` selects the
    rows that break the gate, key columns first; rows that concern one account carry `account_id`, which is what a
    waiver of that account covers. `order_by` makes the rows shown the same in every run. `observed`, for gates with a
    tolerance, selects one text: the measured value, passed or not.
    """

    name: str
    proves: str
    limit: str
    why: str
    reads: tuple[str, ...]
    breaks: str
    order_by: str
    observed: str | None = None

    @property
    def by_day(self) -> bool:
        """Whether it looks at the scope's days, not at the whole period whatever they are."""
        return not TO_LOOK_AT.isdisjoint(self.reads)

    def breaking_rows(self) -> str:
        """The whole query of the breaking rows, `{batch}` standing for the scope."""
        return f"{self._with_imports(self.breaks)}\norder by {self.order_by}"

    def observed_value(self) -> str | None:
        """The whole query of the measured value, or None for a gate without a tolerance."""
        return self._with_imports(self.observed) if self.observed else None

    def _with_imports(self, body: str) -> str:
        imports = ["scope as (select * from {batch})"]
        # DuckDB keeps what is read twice in memory, whole months of text, unless told not to
        imports += [f"{name} as not materialized (\n{RELATIONS[name]}\n)" for name in self.reads]
        return "with " + ",\n".join(imports) + f",\nanswer as (\n{body.strip()}\n)\nselect * from answer"


def build_suite(name: str, gates: tuple[Gate, ...]) -> "ExpectationSuite":
    """The gates as a Great Expectations suite: one expectation per gate, named in its meta."""
    import great_expectations as gx

    from expectations.breaking_rows import ExpectNoBreakingRows

    return gx.ExpectationSuite(
        name=name,
        expectations=[
            ExpectNoBreakingRows(
                unexpected_rows_query=gate.breaking_rows(),
                description=f"{gate.name}: {gate.proves}. Limit: {gate.limit}, because {gate.why}.",
                meta={"gate": gate.name},
            )
            for gate in gates
        ],
    )

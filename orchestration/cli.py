"""The `usage` command: a thin front over the rooms. It parses arguments, holds the write lock, shows progress and prints what came out."""

import functools
import json
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import click

from orchestration import child, summary
from orchestration.errors import UsageWarehouseError, in_one_line
from orchestration.locking import writing
from orchestration.settings import Settings, load_settings, parse_instant, tight_modes


class Outcome(NamedTuple):
    """What a command gives back: its result, its exit code, and for a failure that has a result the reason in one line."""

    result: Any
    exit_code: int = 0
    reason: str | None = None


class Instant(click.ParamType):
    """An ISO 8601 time; without offset it is UTC."""

    name = "TS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return parse_instant(value)
        except UsageWarehouseError as error:
            self.fail(str(error), param, ctx)


class Period(click.ParamType):
    """A billing period, YYYY-MM."""

    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return datetime.strptime(value, "%Y-%m").strftime("%Y-%m")
        except ValueError:
            self.fail(f"{value!r} is not a billing period (YYYY-MM)", param, ctx)


class Tolerance(click.ParamType):
    """How far two figures may lie apart: a decimal that is not negative."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            number = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is not a decimal number", param, ctx)
        if not number.is_finite() or number < 0:
            self.fail(f"{value!r} is not a decimal number from 0 on", param, ctx)
        return number


AS_OF = click.option(
    "--as-of", type=Instant(), help="Stands for now wherever a rule needs the time, so that a run can be repeated."
)


def command(writes: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What every command has: --home, --json, --debug; the write lock if it `writes`; exit codes; one line on stderr for a failure."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "--home", type=click.Path(path_type=Path), help="The home folder (default: $USAGE_HOME, else ./warehouse)."
        )
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
        @click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
        @functools.wraps(function)
        def wrapped(home: Path | None, as_json: bool, debug: bool, **arguments: Any) -> None:
            try:
                settings = load_settings(home)
                # what readers write, too: exports, and what verify rebuilds
                with tight_modes(), summary.progress(quiet=as_json) as report:
                    if writes:
                        with writing(settings, function.__name__.replace("_", "-")):
                            outcome = function(settings, report, **arguments)
                    else:
                        outcome = function(settings, report, **arguments)
            except UsageWarehouseError as error:
                _fail(in_one_line(error), error.exit_code, debug)
            except click.ClickException:
                raise
            except Exception as error:  # one line for the operator; the traceback on demand
                _fail(in_one_line(error), 1, debug)
            if as_json:
                click.echo(json.dumps(outcome.result, default=_jsonable, ensure_ascii=False))
            else:
                summary.show(function.__name__, settings, outcome.result)
            if outcome.reason:
                _fail(outcome.reason, outcome.exit_code, debug=False)
            sys.exit(outcome.exit_code)

        return wrapped

    return decorate


def _fail(message: str, exit_code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    click.echo("usage: " + " ".join(message.split()), err=True)
    sys.exit(exit_code)


def _jsonable(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """The usage warehouse: raw usage events in, figures out that finance bills from.

    Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 a gate blocked it, 4 verification failed or figures differ.
    """


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@AS_OF
@command(writes=True)
def land(settings: Settings, report: Any, paths: tuple[Path, ...], as_of: datetime | None) -> Outcome:
    """Land dumps and reference files from PATHS (default: the inbox). Landing a file twice is a no-op."""
    child.start_ahead(child.PARSER)  # it takes as long to start as the imports here
    from orchestration import landing

    if paths:
        result = landing.land(settings, list(paths), as_of, report)
    else:
        from orchestration import operations

        result = operations.land_inbox(settings, as_of, report)
    refused = result.refused_references
    if refused:
        reasons = "; ".join(f"{entry.file_name} refused: {', '.join(entry.faults)}" for entry in refused)
        return Outcome(result.as_dict(), 1, reasons)
    return Outcome(result.as_dict())


@main.command()
@click.option("--batch", "batch_id", type=int, help="Only records that this batch rejected.")
@click.option("--reason", help="Only records rejected for this reason, such as negative_quantity.")
@click.option("--dry-run", is_flag=True, help="Say what would land, and land nothing.")
@AS_OF
@command(writes=True)
def replay(
    settings: Settings, report: Any, batch_id: int | None, reason: str | None, dry_run: bool, as_of: datetime | None
) -> Outcome:
    """Land rejected records again that today's rules accept, as a batch of their own. Replaying twice is a no-op.

    They keep their ingestion, and the new batch names the batch, file and row in which each landed first.
    """
    from orchestration import landing

    return Outcome(landing.replay(settings, batch_id, reason, dry_run, as_of, report).as_dict())


@main.command()
@click.option("--full-refresh", is_flag=True, help="Build everything anew from the lake; the figures are the same.")
@click.option(
    "--as-of-batch", type=click.IntRange(min=1), help="Build the state as of this batch, into a home of its own."
)
@click.option("--into", type=click.Path(path_type=Path), help="That home: an empty folder.")
@AS_OF
@command(writes=True)
def build(
    settings: Settings,
    report: Any,
    full_refresh: bool,
    as_of_batch: int | None,
    into: Path | None,
    as_of: datetime | None,
) -> Outcome:
    """Bring the marts up to date with what has landed (dbt build).

    With --as-of-batch and --into: what was known and closed when that batch had landed, in another folder. This home is only read.
    """
    from orchestration import operations, warehouse

    if (as_of_batch is None) != (into is None):
        raise click.UsageError("--as-of-batch and --into go together: a past state is built into a home of its own")
    if as_of_batch is not None and into is not None:
        return Outcome(operations.build_as_of_batch(settings, as_of_batch, into, as_of, report).as_dict())
    return Outcome(warehouse.build(settings, as_of, full_refresh, on_progress=report).as_dict())


@main.command()
@AS_OF
@command(writes=True)
def nightly(settings: Settings, report: Any, as_of: datetime | None) -> Outcome:
    """Land the inbox, build, run the gates of periods waiting for their close, publish provisional figures."""
    from orchestration import operations

    return Outcome(operations.nightly(settings, as_of, report).as_dict())


@main.command("month-end")
@click.argument("period", type=Period())
@AS_OF
@command(writes=True)
def month_end(settings: Settings, report: Any, period: str, as_of: datetime | None) -> Outcome:
    """Build, run the gates, close PERIOD and publish its final figures. Exit code 3 where it may not close yet."""
    from orchestration import operations

    return Outcome(operations.month_end(settings, period, as_of, report).as_dict())


@main.command()
@command(writes=False)
def status(settings: Settings, report: Any) -> Outcome:
    """Batches, periods, last gates, SLIs."""
    from orchestration import operations

    return Outcome(operations.status(settings))


@main.command()
@click.argument("period", type=Period(), required=False)
@click.option(
    "--recompute/--no-recompute", default=True, help="Also recompute the period's figures from the lake (default)."
)
@command(writes=False)
def verify(settings: Settings, report: Any, period: str | None, recompute: bool) -> Outcome:
    """Re-check receipts (all, or PERIOD's): files, hash chain, and recomputation from the lake. Exit code 4 where anything differs."""
    from orchestration import closing

    result = closing.verify(settings, period, recompute)
    if result.ok:
        return Outcome(result.as_dict())
    return Outcome(result.as_dict(), 4, f"verification failed, {len(result.problems)} problem(s): {result.problems[0]}")


@main.command()
@click.argument("line_id")
@command(writes=False)
def explain(settings: Settings, report: Any, line_id: str) -> Outcome:
    """An invoice line down to its tiers, days, hours, batches, files and events."""
    from orchestration import operations

    return Outcome(operations.explain(settings, line_id))


@main.command()
@click.option("--audience", required=True, help="Whose published file: finance or analyst.")
@click.option("--period", required=True, type=Period())
@click.option("--format", "form", required=True, type=click.Choice(["csv", "parquet", "pdf", "focus"]))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write to.")
@click.option("--account", help="Only this account.")
@command(writes=False)
def export(
    settings: Settings, report: Any, audience: str, period: str, form: str, out: Path, account: str | None
) -> Outcome:
    """Write a period's marts as CSV or Parquet, statements as PDF, or a FOCUS cost and usage file."""
    from orchestration import publishing

    return Outcome(
        {"written": [str(path) for path in publishing.export(settings, audience, period, form, out, account)]}
    )


@main.command("shadow-rate")
@click.option(
    "--prices",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the other prices: prices and/or price_tiers, each .csv or .parquet. Its rows go before those in force.",
)
@click.option("--period", required=True, type=Period())
@AS_OF
@command(writes=True)
def shadow_rate(settings: Settings, report: Any, prices: Path, period: str, as_of: datetime | None) -> Outcome:
    """Rate a period's usage with other prices, into billing.shadow_rating. Nothing that is billed changes."""
    from orchestration import operations

    return Outcome(operations.shadow_rate(settings, prices, period, as_of, report).as_dict())


@main.command()
@click.option(
    "--against",
    required=True,
    type=click.Path(path_type=Path),
    help="The other home, or its warehouse.duckdb: the baseline.",
)
@click.option(
    "--tolerance", type=Tolerance(), default="0", show_default=True, help="How far two figures may lie apart."
)
@command(writes=False)
def compare(settings: Settings, report: Any, against: Path, tolerance: Decimal) -> Outcome:
    """Compare the marts of two homes row by row. Exit code 4 where they differ by more than the tolerance.

    Build both as of the same time: ages and states of periods follow the clock.
    """
    from orchestration import operations

    comparison = operations.compare(settings, against, tolerance)
    if comparison.equal:
        return Outcome(comparison.as_dict())
    return Outcome(comparison.as_dict(), 4, comparison.reason)

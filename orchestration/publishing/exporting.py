"""`export`: files to take away from a published database, in four formats."""

from collections.abc import Callable
from pathlib import Path

from orchestration.errors import UsageWarehouseError
from orchestration.publishing.focus import export_focus
from orchestration.publishing.publication import Publication, opened, write_csv, write_parquet
from orchestration.publishing.statements import export_statements
from orchestration.settings import Settings


def _export_csv(publication: Publication, out: Path) -> list[Path]:
    """One CSV per table that has a billing_period."""
    return [
        write_csv(publication.connection, query, out / f"{publication.file_stem(name.split('.')[1])}.csv")
        for name, query in publication.narrowed().items()
    ]


def _export_parquet(publication: Publication, out: Path) -> list[Path]:
    """One Parquet file per table that has a billing_period."""
    return [
        write_parquet(publication.connection, query, out / f"{publication.file_stem(name.split('.')[1])}.parquet")
        for name, query in publication.narrowed().items()
    ]


FORMATS: dict[str, Callable[[Publication, Path], list[Path]]] = {
    "csv": _export_csv,
    "parquet": _export_parquet,
    "pdf": export_statements,
    "focus": export_focus,
}


def export(
    settings: Settings, audience: str, period: str, format: str, out: Path, account: str | None = None
) -> list[Path]:
    """Write files of one billing period into the folder `out` and return their paths.

    Formats: csv and parquet (one file per mart with a billing_period), pdf (one statement per account), focus (one
    FOCUS 1.2 cost and usage CSV). Reads the audience's published file only. `account` narrows every file to that
    account. Raises UsageWarehouseError on an unknown audience, period, format or account.
    """
    if format not in FORMATS:
        raise UsageWarehouseError(f"unknown format {format!r}: it must be one of {', '.join(FORMATS)}")
    out = Path(out)
    with opened(settings, audience, period, account) as publication:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageWarehouseError(f"cannot write to {out}: {error.strerror}") from error
        return FORMATS[format](publication, out)

"""The lake against the receipts: what is missing, what has changed, and what has been added behind their backs."""

from pathlib import PurePosixPath

import duckdb

from orchestration.closing.database import text
from orchestration.closing.lakefiles import (
    BATCH_FOLDER,
    MANIFEST,
    REFERENCE_FOLDER,
    byte_problem,
    ground,
    manifest_paths,
    manifest_problem,
    paths_on_disk,
    read_manifest,
)
from orchestration.closing.receipts import Receipt
from orchestration.settings import Settings

NO_BATCH_YET = 2**63


def lake_problems(
    connection: duckdb.DuckDBPyConnection, settings: Settings, receipts: list[Receipt]
) -> tuple[list[str], int]:
    """(problems, number of files read). Each file is read once, however many receipts rest on it."""
    expected: dict[tuple[str, str], list[str]] = {}
    for receipt in receipts:
        for entry in _ground_entries(receipt):
            expected.setdefault((entry["path"], entry["sha256"]), []).append(receipt.period)
    problems, intact = [], set()
    for (path, sha256), periods in sorted(expected.items()):
        check = manifest_problem if MANIFEST.fullmatch(path) else byte_problem
        problem = check(settings.home / path, sha256)
        if problem:
            problems.append(f"{', '.join(periods)}: {path}: {problem}")
        else:
            intact.add(path)
    problems += _row_problems(connection, settings, receipts, intact)
    problems += _added_problems(settings, receipts) if receipts else []
    problems += [problem for receipt in receipts for problem in _manifest_problems(settings, receipt)]
    return problems, len({path for path, _ in expected})


def _ground_entries(receipt: Receipt) -> list[dict]:
    return receipt.body["lake_files"] + receipt.body["manifests"]


def _row_problems(
    connection: duckdb.DuckDBPyConnection, settings: Settings, receipts: list[Receipt], intact: set[str]
) -> list[str]:
    """Row counts of the intact Parquet files against the receipts'."""
    said = {(entry["path"], entry["rows"]) for receipt in receipts for entry in receipt.body["lake_files"]}
    readable = sorted(path for path, _ in said if path in intact and PurePosixPath(path).suffix == ".parquet")
    if not readable:
        return []
    files = ", ".join(text(settings.home / path) for path in readable)
    counted = dict(connection.execute(f"select file_name, num_rows from parquet_file_metadata([{files}])").fetchall())
    return [
        f"{path}: holds {counted[str(settings.home / path)]} rows, a receipt says {rows}"
        for path, rows in sorted(said)
        if path in readable and counted[str(settings.home / path)] != rows
    ]


def _manifest_problems(settings: Settings, receipt: Receipt) -> list[str]:
    """Whether the receipt names what the manifests up to its cutoff name. Changed manifests are reported elsewhere."""
    try:
        found = ground(settings, receipt.cutoff)
    except (ValueError, KeyError, TypeError) as error:
        return [f"{receipt.period}: a batch manifest up to batch {receipt.cutoff} cannot be read: {error}"]
    return [
        f"{receipt.period}: the receipt names other {words} than the batch manifests up to batch {receipt.cutoff}"
        for part, words in (("lake_files", "lake files"), ("references", "reference versions"))
        if receipt.body[part] != getattr(found, part)
    ]


def _added_problems(settings: Settings, receipts: list[Receipt]) -> list[str]:
    """Files that by their place belong to a receipt's batches but that it does not name, and files in no place."""
    named = {receipt.period: {entry["path"] for entry in _ground_entries(receipt)} for receipt in receipts}
    versions = _reference_versions(settings)
    problems = []
    for path in paths_on_disk(settings):
        batch = _batch_of(path, versions)
        if batch is None:
            problems.append(f"{path}: lies in the lake, but belongs to no batch")
            continue
        periods = [one.period for one in receipts if batch <= one.cutoff and path not in named[one.period]]
        if periods:
            problems.append(f"{', '.join(periods)}: {path}: has been added, the receipt does not name it")
    return problems


def _reference_versions(settings: Settings) -> dict[str, dict[int, int]]:
    """Reference table → version → the batch that landed it, as far as manifests can be read."""
    versions: dict[str, dict[int, int]] = {}
    for batch, path in manifest_paths(settings).items():
        try:
            references = read_manifest(path)["references"]
        except ValueError:
            continue
        for reference in references:
            if reference.get("status") == "landed":
                versions.setdefault(reference["table"], {})[reference["version"]] = batch
    return versions


def _batch_of(path: str, versions: dict[str, dict[int, int]]) -> int | None:
    """The batch a file belongs to by its place; NO_BATCH_YET for what a killed landing left; None for no place."""
    placed = BATCH_FOLDER.fullmatch(path) or MANIFEST.fullmatch(path)
    if placed:
        return int(placed[1])
    reference = REFERENCE_FOLDER.fullmatch(path)
    if not reference:
        return None
    known = versions.get(reference[1], {})
    # a version that no manifest names lies between its neighbours, or after them all
    return min((batch for version, batch in known.items() if version >= int(reference[2])), default=NO_BATCH_YET)

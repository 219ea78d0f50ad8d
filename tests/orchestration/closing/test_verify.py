"""`verify` finds every single thing that was changed, taken away or added, and says which file of which period."""

import hashlib
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import duckdb
import pytest
from small_home import OCTOBER, SEPTEMBER, build_warehouse, land_batch

from orchestration.closing import finalize, recompute, verify
from orchestration.errors import UsageWarehouseError

FILES = ("usage_daily.parquet", "usage_monthly.parquet", "invoice_lines.parquet", "invoices.parquet", "receipt.json")


def folder(settings, period=SEPTEMBER) -> Path:
    return settings.finalized / f"period={period}"


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def problems(settings, *parts: str, **options) -> list[str]:
    """The problems found, after checking that one of them names all the parts (a file, a period)."""
    result = verify(settings, **options)
    assert not result.ok
    assert any(all(part in problem for part in parts) for problem in result.problems), (parts, result.problems)
    return result.problems


def test_untouched_receipts_pass(closed_home):
    result = verify(closed_home)
    assert result.problems == [] and result.ok
    assert result.periods == [SEPTEMBER, OCTOBER] == result.recomputed
    assert result.frozen_files == 16
    assert result.lake_files == 5 + 3  # files of three batches, and their manifests
    assert json.loads(json.dumps(result.as_dict()))["ok"] is True


def test_nothing_closed_is_nothing_wrong(open_home):
    assert verify(open_home).as_dict()["ok"] is True


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("position", [0, 1, 0.25, 0.5, 0.75, -5, -1])
def test_one_changed_byte_is_found(closed_home, name, position):
    path = folder(closed_home, OCTOBER) / name  # the newest: no later receipt vouches for it
    content = bytearray(path.read_bytes())
    index = int(position * len(content)) if isinstance(position, float) else position
    content[index] ^= 0x01
    overwrite(path, bytes(content))
    problems(closed_home, OCTOBER, name)


def test_every_byte_of_a_receipt_counts(closed_home):
    """Each byte in turn: none of them may be changed without being found."""
    path = folder(closed_home, OCTOBER) / "receipt.json"
    content = path.read_bytes()
    from orchestration.closing.receipts import read_receipt

    path.chmod(0o644)
    for index in range(len(content)):
        path.write_bytes(content[:index] + bytes([content[index] ^ 0x02]) + content[index + 1 :])
        with pytest.raises(ValueError):
            read_receipt(closed_home, OCTOBER)
    path.write_bytes(content)
    assert read_receipt(closed_home, OCTOBER).period == OCTOBER


@pytest.mark.parametrize("name", FILES)
def test_a_deleted_file_is_found(closed_home, name):
    (folder(closed_home) / name).unlink()
    problems(closed_home, SEPTEMBER, name, "missing")


@pytest.mark.parametrize("period", [SEPTEMBER, OCTOBER])
def test_a_deleted_period_is_found(closed_home, period):
    shutil.rmtree(folder(closed_home, period))
    problems(closed_home, period, "missing")
    problems(closed_home, period, "missing", billing_period=period)


def test_added_files_are_found(closed_home):
    (folder(closed_home) / "more.parquet").write_bytes(b"")
    (closed_home.finalized / "notes.txt").write_text("hello")
    (closed_home.finalized / "period=2026-99").mkdir()
    found = problems(closed_home, SEPTEMBER, "more.parquet")
    assert any("finalized/notes.txt" in problem for problem in found)
    assert any("period=2026-99" in problem for problem in found)


def test_swapped_files_are_found(closed_home):
    one, other = (folder(closed_home, period) / "usage_daily.parquet" for period in (SEPTEMBER, OCTOBER))
    first, second = one.read_bytes(), other.read_bytes()
    overwrite(one, second)
    overwrite(other, first)
    found = problems(closed_home, SEPTEMBER, "usage_daily.parquet")
    assert any(OCTOBER in problem and "usage_daily.parquet" in problem for problem in found)


def test_swapped_periods_are_found(closed_home):
    aside = closed_home.finalized / "aside"
    folder(closed_home).rename(aside)
    folder(closed_home, OCTOBER).rename(folder(closed_home))
    aside.rename(folder(closed_home, OCTOBER))
    problems(closed_home, SEPTEMBER, f"is of the period {OCTOBER}")


def test_a_link_is_not_a_file(closed_home, tmp_path):
    path = folder(closed_home) / "usage_daily.parquet"
    shutil.copy(path, tmp_path / "elsewhere.parquet")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere.parquet")
    problems(closed_home, SEPTEMBER, "usage_daily.parquet")


# --- receipts that somebody has made anew, hashes and all ------------------------------------------


def reseal(settings, period, change) -> None:
    """Edit a receipt the way somebody would who knows how it is sealed."""
    from orchestration.sealing import seal

    path = folder(settings, period) / "receipt.json"
    body = json.loads(path.read_text())
    del body["self_sha256"]
    change(body)
    overwrite(path, seal(body))


def test_a_resealed_receipt_breaks_the_chain(closed_home):
    reseal(closed_home, SEPTEMBER, lambda body: body.update(project_version="9.9.9"))
    problems(closed_home, OCTOBER, "chain is broken", SEPTEMBER)


def test_a_resealed_newest_receipt_is_not_the_one_that_the_marts_name(closed_home):
    reseal(closed_home, OCTOBER, lambda body: body.update(project_version="9.9.9"))
    problems(closed_home, OCTOBER, "warehouse.duckdb", "another receipt.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: body.update(receipt_version=2), "unknown receipt_version"),
        (lambda body: body.pop("waivers"), "lacks waivers"),
        (lambda body: body.update(more=1), "unknown field more"),
        (lambda body: body.update(cutoff_batch_id="3"), "cutoff_batch_id of the wrong type"),
        (lambda body: body.update(cutoff_batch_id=True), "cutoff_batch_id of the wrong type"),
        (lambda body: body.update(finalized_at="yesterday"), "finalized_at that is not a UTC time"),
        (lambda body: body["tables"].pop(), "does not name exactly the frozen tables"),
        (lambda body: body["tables"][0].update(file="../../x"), "does not name exactly the frozen tables"),
        (lambda body: body["tables"][0].pop("rows"), "entry of tables"),
        (lambda body: body["tables"][0].update(file_sha256="abc"), "not a SHA-256"),
        (lambda body: body.update(lake_files=[1]), "does not hold objects"),
        (lambda body: body.update(previous_receipt={}), "entry of previous_receipt"),
    ],
)
def test_a_receipt_of_another_form_is_found(closed_home, change, message):
    reseal(closed_home, OCTOBER, change)
    problems(closed_home, OCTOBER, "receipt.json", message)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b"\xff\xfe", b"{}"])
def test_a_receipt_that_is_no_receipt_is_found(closed_home, content):
    overwrite(folder(closed_home) / "receipt.json", content)
    problems(closed_home, SEPTEMBER, "receipt.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: body["tables"][1].update(rows=7), "rows, the receipt says 7"),
        (lambda body: body["tables"][1].update(content_sha256="0" * 64), "content hash differs"),
        (lambda body: body["lake_files"].pop(), "has been added"),
        (lambda body: body["lake_files"].pop(), "other lake files than the batch manifests"),
        (lambda body: body["lake_files"][0].update(rows=99), "a receipt says 99"),
        (lambda body: body["references"].clear(), "other reference versions"),
        (lambda body: body["manifests"].pop(), "has been added"),
        (lambda body: body.update(previous_receipt=None), "exactly one first receipt"),
        (lambda body: body["previous_receipt"].update(billing_period="2026-01"), "2026-01, is missing"),
        (lambda body: body["previous_receipt"].update(billing_period=OCTOBER), "chain is broken"),
        (lambda body: body.update(cutoff_batch_id=1), "closed on an earlier batch than 2026-09"),
    ],
)
def test_a_receipt_that_says_something_else_is_found(closed_home, change, message):
    reseal(closed_home, OCTOBER, change)
    problems(closed_home, message)


def test_a_forked_chain_is_found(closed_home):
    """Two receipts that both follow September."""
    shutil.copytree(folder(closed_home, OCTOBER), folder(closed_home, "2026-11"))
    reseal(closed_home, "2026-11", lambda body: body.update(billing_period="2026-11"))
    problems(closed_home, "2026-11", "forks")


def test_other_content_under_a_fitting_hash_is_found(closed_home):
    """Rows changed and the file's hash in the receipt with them: the content hash still tells."""
    path = folder(closed_home, OCTOBER) / "invoice_lines.parquet"
    path.chmod(0o644)
    duckdb.sql(f"create or replace table lines as select * replace (amount + 1 as amount) from '{path}'")
    duckdb.sql(f"copy lines to '{path}' (format parquet)")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    reseal(closed_home, OCTOBER, lambda body: body["tables"][2].update(file_sha256=sha256))
    problems(closed_home, OCTOBER, "invoice_lines.parquet", "content hash")


# --- the lake -------------------------------------------------------------------------------------


def lake_file(settings, batch=1) -> Path:
    return settings.lake / f"usage_events/landed_date=2026-10-0{batch}/batch={batch}/part-00000.parquet"


def test_a_changed_lake_file_is_found_in_every_period_that_rests_on_it(closed_home):
    content = bytearray(lake_file(closed_home).read_bytes())
    content[len(content) // 2] ^= 0x01
    lake_file(closed_home).write_bytes(bytes(content))
    problems(closed_home, f"{SEPTEMBER}, {OCTOBER}", "batch=1/part-00000.parquet", "bytes have changed")


def test_a_missing_lake_file_is_found(closed_home):
    lake_file(closed_home, batch=3).unlink()
    found = problems(closed_home, OCTOBER, "batch=3/part-00000.parquet", "missing")
    assert not any(SEPTEMBER in problem for problem in found)


@pytest.mark.parametrize(
    "path",
    [
        "lake/usage_events/landed_date=2026-10-01/batch=1/part-00001.parquet",
        "lake/usage_events/landed_date=2026-10-09/batch=2/part-00000.parquet",
        "lake/rejected_events/landed_date=2026-10-01/batch=1/part-00000.parquet",
        "lake/reference/metrics/version=1/part-00001.parquet",
        "lake/reference/metrics/version=0/part-00000.parquet",
        "lake/batches/batch=0.json",
        "lake/usage_events/part-00000.parquet",
        "lake/usage_events/landed_date=2026-10-01/batch=1/deeper/part-00000.parquet",
    ],
)
def test_an_added_lake_file_is_found(closed_home, path):
    target = closed_home.home / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(lake_file(closed_home), target)
    problems(closed_home, path)


def test_swapped_lake_files_are_found(closed_home):
    one, other = lake_file(closed_home, 1), lake_file(closed_home, 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    found = problems(closed_home, "batch=1/part-00000.parquet")
    assert any("batch=2/part-00000.parquet" in problem for problem in found)


@pytest.mark.parametrize("content", [b"{}", b"", b"[1]", None])
def test_a_changed_or_missing_manifest_is_found(closed_home, content):
    manifest = closed_home.lake / "batches" / "batch=2.json"
    if content is None:
        manifest.unlink()
    else:
        manifest.write_bytes(content)
    problems(closed_home, SEPTEMBER, "lake/batches/batch=2.json")


def test_one_changed_byte_of_a_manifest_is_found(closed_home):
    manifest = closed_home.lake / "batches" / "batch=1.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"02:00:00", b"02:00:01"))
    problems(closed_home, SEPTEMBER, "lake/batches/batch=1.json")


def test_later_batches_and_leftovers_of_a_killed_landing_are_no_problem(closed_home):
    """They lie beyond every cutoff: late usage, or work that the next landing removes."""
    land_batch(closed_home, 4)
    for path in ("lake/usage_events/landed_date=2026-10-09/batch=5", "lake/reference/metrics/version=3"):
        (closed_home.home / path).mkdir(parents=True)
        shutil.copy(lake_file(closed_home), closed_home.home / path / "part-00000.parquet")
    assert verify(closed_home).problems == []


# --- one period, and recomputation ----------------------------------------------------------------


def test_one_period_can_be_verified_alone(closed_home):
    overwrite(folder(closed_home, OCTOBER) / "invoices.parquet", b"")
    result = verify(closed_home, billing_period=SEPTEMBER)
    assert result.ok and result.periods == [SEPTEMBER] and result.frozen_files == 8
    assert not verify(closed_home, billing_period=OCTOBER).ok


def test_a_period_that_was_never_closed_cannot_be_verified(closed_home):
    with pytest.raises(UsageWarehouseError, match="2026-11 is not final"):
        verify(closed_home, billing_period="2026-11")


def change_marts(settings, statement) -> None:
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute(statement)


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        (
            "usage_daily",
            "update intermediate.int_usage_by_date set quantity = quantity + 0.000000001 where billing_date = date '2026-09-30' "
            "and account_number in (select account_number from intermediate.int_usage_series where account_id = 'acct-beta')",
        ),
        ("usage_daily", "delete from intermediate.int_usage_by_date where billing_date = date '2026-09-30'"),
        (
            "usage_monthly",
            "insert into usage.usage_monthly select * replace ('acct-beta-2' as account_id) from usage.usage_monthly "
            "where billing_period = '2026-09' limit 1",
        ),
        ("invoice_lines", "update billing.invoice_lines set amount = amount + 0.01 where billing_period = '2026-09'"),
        # a row that stands twice, and values that are missing
        ("invoices", "insert into billing.invoices from billing.invoices where billing_period = '2026-09' limit 1"),
        ("invoice_lines", "update billing.invoice_lines set price_id = null where billing_period = '2026-09'"),
    ],
)
def test_a_recomputation_that_differs_is_found(closed_home, table, statement):
    change_marts(closed_home, statement)
    found = problems(closed_home, SEPTEMBER, table)
    assert not any(OCTOBER in problem for problem in found)
    assert verify(closed_home, recompute=False).ok


def test_a_recomputation_of_another_type_is_found_although_its_figures_are_equal(closed_home):
    change_marts(closed_home, "alter table usage.usage_monthly alter event_count type integer")
    problems(closed_home, SEPTEMBER, "usage_monthly", "other columns or types")


def test_the_order_of_columns_is_no_difference(closed_home):
    change_marts(
        closed_home,
        "create or replace table billing.invoices as select amount, * exclude (amount) from billing.invoices",
    )
    assert verify(closed_home).ok


def test_without_a_warehouse_the_receipts_are_still_checked_and_the_recomputation_is_missed(closed_home):
    closed_home.warehouse.unlink()
    assert verify(closed_home, recompute=False).ok
    problems(closed_home, SEPTEMBER, "cannot be recomputed", "warehouse.duckdb is missing")


def test_the_recomputation_may_be_another(closed_home, tmp_path):
    """A rebuilt database elsewhere, or a procedure of the caller's."""
    from orchestration.closing.receipts import read_receipt

    rebuilt = tmp_path / "rebuilt.duckdb"
    shutil.copy(closed_home.warehouse, rebuilt)
    closed_home.warehouse.unlink()
    assert recompute(closed_home, read_receipt(closed_home, SEPTEMBER), lambda *_: nullcontext(rebuilt)) == []
    result = verify(closed_home, recomputation=lambda settings, receipt: [f"{receipt.period}: asked"])
    assert result.problems == [f"{SEPTEMBER}: asked", f"{OCTOBER}: asked"]


def test_a_damaged_file_is_never_opened_for_the_recomputation(closed_home):
    """A corrupt Parquet file can crash the process that reads it."""
    overwrite(folder(closed_home) / "usage_daily.parquet", b"PAR1 nonsense PAR1")
    assert verify(closed_home).recomputed == [OCTOBER]


def test_finalize_after_verify_still_works(closed_home):
    before = (folder(closed_home) / "receipt.json").read_bytes()
    build_warehouse(closed_home, 3)
    assert finalize(closed_home, SEPTEMBER).read_bytes() == before

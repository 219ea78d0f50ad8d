"""Random histories: the same on every run, legal, rich in trouble; and the oracle's laws hold on them."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from tests.end_to_end.histories import FIRST_MODELS, Options, histories, is_reference, make_history
from tests.oracle import compute

SEEDS = range(8)


def results(tmp_path, options):
    for seed in SEEDS:
        history = make_history(seed, options)
        yield history, compute(history.write(tmp_path / str(seed)), history.closes)


def test_a_seed_gives_the_same_bytes():
    assert make_history(5).landings == make_history(5).landings
    assert make_history(5).landings != make_history(6).landings


def test_histories_hold_every_kind_of_trouble(tmp_path):
    seen = Counter()
    for history, result in results(tmp_path, Options(events=600)):
        assert result.history.refused == []
        seen.update(
            f".{name.partition('.')[2]}" for files in history.landings for name in files if not is_reference(name)
        )
        seen.update(line.pricing_model for line in result.lines.values())
        seen["unpriced"] += len(result.unpriced)
        for batch in result.batches.values():
            seen.update(batch.reject_reasons)
            seen.update({f"held: {reason}": count for reason, count in batch.held_reasons.items()})
            for name in ("duplicates", "conflicting", "unattributed", "attributed", "rejected_files"):
                seen[name] += getattr(batch, name)
    wanted = {
        *(".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz", ".csv.zst", ".parquet"),
        *("per_unit", "graduated", "volume", "package", "percentage", "graduated_percentage", "flat"),
        *("unpriced", "duplicates", "conflicting", "unattributed", "attributed", "rejected_files"),
        *(f"missing_{field}" for field in ("event_id", "producer", "event_ts", "metric", "quantity", "unit")),
        *("malformed_record", "unsupported_schema_version", "invalid_event_ts", "event_ts_out_of_range"),
        *("invalid_quantity", "negative_quantity", "invalid_sampling_rate", "oversized_field"),
        *("held: unknown_metric", "held: unit", "held: correction"),
    }
    assert wanted - {name for name, count in seen.items() if count} == set()


def test_closable_histories_are_priced_and_tie_out(tmp_path):
    adjustments = 0
    for history, result in results(tmp_path, Options(events=200, closable=True)):
        assert [close.billing_period for close in history.closes] == ["2026-09", "2026-10"]
        assert result.unpriced == {}
        assert all(
            row.difference_amount == 0
            for key, row in result.ledger.items()
            if key.billing_period in result.final_cutoffs
        )
        adjustments += len(result.adjustments)
    assert adjustments


def test_without_conflicts_the_order_of_dumps_changes_no_figure(tmp_path):
    history = make_history(11, Options(events=400, conflicts=False))
    first = compute(history.write(tmp_path / "first"))
    other = compute(history.shuffled(1).write(tmp_path / "other"))
    for figures in ("usage_hourly", "usage_daily", "usage_monthly", "unattributed", "lines", "unpriced", "ledger"):
        assert getattr(first, figures) == getattr(other, figures)


def test_only_the_models_that_are_asked_for(tmp_path):
    history = make_history(1, Options(models=FIRST_MODELS, fees_without_usage=False))
    lines = compute(history.write(tmp_path)).lines.values()
    assert {line.pricing_model for line in lines} == set(FIRST_MODELS)
    assert all(line.quantity for line in lines if line.amount)


@given(history=histories())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_laws_hold(history, tmp_path_factory):
    result = compute(history.write(tmp_path_factory.mktemp("history")), history.closes)
    for batch in result.batches.values():
        parts = (batch.rejected, batch.duplicates, batch.held, batch.unattributed, batch.attributed)
        assert batch.records == sum(parts)
    assert sum(usage.quantity for usage in result.usage_hourly.values()) == sum(
        usage.quantity for usage in result.usage_monthly.values()
    )
    for line in result.lines.values():
        assert line.precise_amount == sum(tier.amount for tier in line.tiers)
    billed = sum(row.billed_amount for row in result.ledger.values())
    assert billed == sum(result.invoices.values()) == sum(line.amount for line in result.all_lines)


@pytest.mark.parametrize("batch_id", [1, 2])
def test_as_of_a_batch_is_what_landed_until_then(tmp_path, batch_id):
    history = make_history(2, Options(events=200))
    folders = history.write(tmp_path)
    until_then = compute(folders[:batch_id])
    state = compute(folders).as_of(batch_id)
    assert state.daily == until_then.usage_daily and state.batches == until_then.batches

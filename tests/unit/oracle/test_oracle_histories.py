"""Random histories: the same on every run, legal, rich in trouble; and the oracle's laws hold on them."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from tests.end_to_end.histories import FIRST_MODELS, Options, histories, is_reference, make_history
from tests.oracle import compute

SEEDS = range(8)
ADJUSTED = ("usage", "discount", "minimum")


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


def features(history, result):
    """Feature → whether it occurs in this history."""
    lines, at_price = result.all_lines, Counter(line.key[:5] for line in result.lines.values())
    per_base = Counter(id(line.base) for line in result.discounts)
    stepped = ("graduated", "volume", "package", "graduated_percentage")
    shared = Counter(key[:3] for key in result.allocations)
    return {
        "tiers run on": any(
            at_price[line.key[:5]] > 1 and line.pricing_model in stepped for line in result.lines.values()
        ),
        "several discounts on a line": max(per_base.values(), default=0) > 1,
        "a discount on a subscription": any(line.base.line_type == "subscription" for line in result.discounts),
        "a discount on a fee without usage": any(line.base.unit is None for line in result.discounts),
        "a discount inside a month": any(line.slice_from for line in result.discounts),
        "a subscription for part of a month": any(line.quantity < 1 for line in result.subscriptions),
        "a subscription in slices": any(line.slice_from for line in result.subscriptions),
        "a minimum": bool(result.minimums),
        "a minimum of a parent": {line.account_id for line in result.minimums}
        & {line.invoice_account_id for line in lines if line.invoice_account_id != line.account_id},
        "a credit on a child": any(line.account_id != line.invoice_account_id for line in result.credits),
        "several credits in a period": len(result.credits)
        > len({(line.billing_period, line.account_id) for line in result.credits}),
        "a credit that is partly used": any(
            0 < row.burned_amount < row.opening_amount for row in result.credit_balances.values()
        ),
        "a credit that expires": any(row.expired_amount for row in result.credit_balances.values()),
        "a line that is shared": max(shared.values(), default=0) > 1,
        "an exchange rate": any(line.fx_rate_date for line in lines),
        "no exchange rate": any(line.fx_rate is None for line in lines),
        **{f"{kind} adjusted": any(line.charge_type == kind for line in result.adjustments) for kind in ADJUSTED},
    }


@pytest.mark.parametrize("closable", [False, True])
def test_histories_hold_everything_that_can_be_agreed_on(tmp_path, closable):
    seen = Counter()
    for history, result in results(tmp_path, Options(events=300, closable=closable)):
        assert result.history.refused == []
        seen.update({feature: bool(occurs) for feature, occurs in features(history, result).items()})
    absent = {feature for feature, count in seen.items() if count < 2}
    assert absent == (set() if closable else {f"{kind} adjusted" for kind in ADJUSTED})


def test_without_terms_and_parents_there_are_usage_lines_only(tmp_path):
    history = make_history(1, Options(events=300, terms=False, parents=False))
    result = compute(history.write(tmp_path))
    assert {line.line_type for line in result.all_lines} == {"usage"}
    assert all(line.invoice_account_id == line.account_id for line in result.all_lines)


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
    check_the_laws_of_terms(result)
    billed = sum(row.billed_amount for row in result.ledger.values())
    assert billed == sum(result.invoices.values()) == sum(line.amount for line in result.all_lines)


def check_the_laws_of_terms(result):
    """Discounts take no more than there is, no invoice is paid beyond what it owes, nothing is lost in sharing."""
    for base in {id(line.base): line.base for line in result.discounts}.values():
        off = -sum(line.precise_amount for line in result.discounts if line.base is base)
        assert 0 <= off * (1 if base.precise_amount > 0 else -1) <= abs(base.precise_amount)
    paid = {(line.billing_period, line.invoice_account_id, line.currency_code) for line in result.credits}
    assert all(result.invoices[key] >= 0 for key in paid)
    for row in result.credit_balances.values():
        assert min(row.opening_amount, row.burned_amount, row.expired_amount, row.closing_amount) >= 0
    for line in (*result.minimums, *result.credits):
        parts = [
            amount
            for key, amount in result.allocations.items()
            if key[:3] == (line.billing_period, line.line_type, line.reference_id)
        ]
        assert sum(parts) == line.amount


@pytest.mark.parametrize("batch_id", [1, 2])
def test_as_of_a_batch_is_what_landed_until_then(tmp_path, batch_id):
    history = make_history(2, Options(events=200))
    folders = history.write(tmp_path)
    until_then = compute(folders[:batch_id])
    state = compute(folders).as_of(batch_id)
    assert state.daily == until_then.usage_daily and state.batches == until_then.batches

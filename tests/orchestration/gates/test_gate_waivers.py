"""Which waivers are in force, and which rows they cover."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.gates.waivers import Waiver, covering, valid_waivers

AS_OF = datetime(2026, 10, 5, tzinfo=UTC)
WAIVER = Waiver("gate", "2026-09", "acme", "a reason", "finance-controller", AS_OF + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"expires_at": AS_OF}, False),
        ({"expires_at": AS_OF - timedelta(days=1)}, False),
        ({"expires_at": None}, False),
        ({"reason": ""}, False),
        ({"reason": None}, False),
        ({"approved_by": None}, False),
        ({"scope": None}, False),
    ],
)
def test_a_waiver_is_in_force_until_it_expires_and_only_with_its_reason(changes, valid):
    assert replace(WAIVER, **changes).is_valid(AS_OF) is valid


def test_only_waivers_of_the_gate_and_period_count_and_the_longest_of_a_scope():
    longer = replace(WAIVER, expires_at=WAIVER.expires_at + timedelta(days=1))
    others = (replace(WAIVER, gate="other"), replace(WAIVER, billing_period="2026-10"))
    for order in ((WAIVER, longer, *others), (*others, longer, WAIVER)):
        assert valid_waivers(order, "gate", "2026-09", AS_OF) == {"acme": longer}


EVERYTHING = replace(WAIVER, scope="*")
BLUE = replace(WAIVER, scope="blue")


@pytest.mark.parametrize(
    ("waivers", "accounts", "used"),
    [
        ([WAIVER], {"acme"}, [WAIVER]),
        ([WAIVER, BLUE], {"acme"}, [WAIVER]),
        ([BLUE, WAIVER], {"blue", "acme"}, [WAIVER, BLUE]),
        ([WAIVER], {"acme", "blue"}, []),
        ([EVERYTHING], {"acme", "blue", None}, [EVERYTHING]),
        ([EVERYTHING, WAIVER], {"acme"}, [WAIVER]),  # the narrowest that suffices
        ([EVERYTHING, WAIVER], {"acme", "blue"}, [EVERYTHING]),
        ([WAIVER], {None}, []),
        ([WAIVER], {"acme", None}, []),
        ([], {"acme"}, []),
        ([EVERYTHING], set(), []),
    ],
)
def test_every_breaking_account_has_to_be_covered(waivers, accounts, used):
    assert covering({waiver.scope: waiver for waiver in waivers}, frozenset(accounts)) == used

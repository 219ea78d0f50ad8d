"""Waivers: reviewed rows of reference data that let one failed gate of one period pass. Pure functions on rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestration.gates.instants import as_text

EVERYTHING = "*"


@dataclass(frozen=True)
class Waiver:
    """One row of gate_waivers. `scope` is an account_id or `*`; `expires_at` is aware UTC, None without one."""

    gate: str
    billing_period: str
    scope: str
    reason: str | None
    approved_by: str | None
    expires_at: datetime | None

    def is_valid(self, as_of: datetime) -> bool:
        """In force until it expires; one without scope, reason, approver or expiry never is (rule 19)."""
        return bool(self.scope and self.reason and self.approved_by and self.expires_at and as_of < self.expires_at)

    def as_dict(self) -> dict[str, Any]:
        return {
            "gate": self.gate,
            "billing_period": self.billing_period,
            "scope": self.scope,
            "reason": self.reason,
            "approved_by": self.approved_by,
            "expires_at": as_text(self.expires_at) if self.expires_at else None,
        }


def valid_waivers(waivers: Iterable[Waiver], gate: str, billing_period: str, as_of: datetime) -> dict[str, Waiver]:
    """The waivers in force for a gate of a period, by scope; of two with one scope the one that lasts longer."""
    chosen: dict[str, Waiver] = {}
    for waiver in waivers:
        if (waiver.gate, waiver.billing_period) != (gate, billing_period) or not waiver.is_valid(as_of):
            continue
        other = chosen.get(waiver.scope)
        if other is None or waiver.expires_at > other.expires_at:
            chosen[waiver.scope] = waiver
    return chosen


def covering(valid: dict[str, Waiver], accounts: frozenset[str | None]) -> list[Waiver]:
    """The waivers that together cover every account with a breaking row; empty when one row stays uncovered.

    None among the accounts is a row that concerns no single account: only `*` covers it.
    """
    if not accounts:
        return []
    if accounts <= valid.keys():
        return [valid[account] for account in sorted(accounts)]
    return [valid[EVERYTHING]] if EVERYTHING in valid else []

"""Closing a period: freeze what the gates passed, write a receipt, and prove later that nothing of it has changed.

The door of this room: `finalize` closes, `verify` proves, `recompute` compares a receipt with the warehouse's postings;
`content_sha256`, `alike`, `fingerprint`, `attach_warehouse` and `link_closed` serve the rooms behind it.
"""

from orchestration.closing.canonical import Fingerprint, alike, content_sha256, fingerprint
from orchestration.closing.database import attach_warehouse, check_period, period_bounds, scratch_connection
from orchestration.closing.finalizing import finalize
from orchestration.closing.linking import link_closed
from orchestration.closing.recomputing import recompute
from orchestration.closing.verifying import VerifyResult, verify

__all__ = [
    "Fingerprint",
    "VerifyResult",
    "alike",
    "attach_warehouse",
    "check_period",
    "content_sha256",
    "finalize",
    "fingerprint",
    "link_closed",
    "period_bounds",
    "recompute",
    "scratch_connection",
    "verify",
]

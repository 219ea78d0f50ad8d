"""Landing: dumps → validated, redacted, immutable Parquet in the lake, and new versions of the reference tables.

The door: `land` takes what is new as one batch, `replay` lands rejected records again that today's rules accept,
`recover` removes what a killed landing left, `manifests` lists the batches, `link_lake` gives them to a second home.
The way of a dump: find → reader (one per format, text as it stands) → canonical → validate.sql (the rules, stated
once) → pii → lake → commit.
"""

from orchestration.landing.batches import manifests, recover
from orchestration.landing.land import land
from orchestration.landing.linking import link_lake
from orchestration.landing.replaying import replay
from orchestration.landing.result import FileResult, Ignored, Known, LandingResult, ReferenceResult, ReplayResult

__all__ = [
    "FileResult",
    "Ignored",
    "Known",
    "LandingResult",
    "ReferenceResult",
    "ReplayResult",
    "land",
    "link_lake",
    "manifests",
    "recover",
    "replay",
]

"""Makes Great Expectations' pages readable without internet, and knows where they lie.

Its pages load styles, icons and scripts from eight hosts. On a machine that reaches none they lose the signs for passed
and failed; on one that does, they tell those hosts what is read. What a page says needs none of it. The index page is
left as it is: it is nothing but script, and orchestration/gates/page.py stands in for it.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from orchestration.gates.storing import write_whole

DATA_DOCS = "data_docs"

FROM_THE_WEB = re.compile(
    r"<script\b.*?</script\s*>|<link\b[^>]*?\bhttps?://[^>]*>|<img\b[^>]*?\bhttps?://[^>]*>|<footer\b.*?</footer\s*>",
    re.DOTALL | re.IGNORECASE,
)
IMAGE_FROM_THE_WEB = re.compile(r"url\(\s*['\"]?https?://[^)]*\)", re.IGNORECASE)
HOME = re.compile(r'href="((?:\.\./)+)index\.html"')

# Signs in place of the icon font; what only scripts could serve (filter, table of contents, unfolding) is not shown.
OWN_HEAD = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body { font: 15px/1.4 sans-serif; margin: 1em 2em; }
table { border-collapse: collapse; margin: .5em 0; }
td, th { border: 1px solid #8886; padding: .2em .6em; text-align: left; vertical-align: top; }
.fa-check-circle::before { content: "✓"; color: #1a7f37; font-style: normal; }
.fa-times::before { content: "✗"; color: #cf222e; font-style: normal; font-weight: bold; }
.fa-exclamation-triangle::before { content: "!"; color: #cf222e; font-style: normal; }
.navbar-brand, .sticky > .card, a[data-toggle="collapse"] { display: none; }
</style>
</head>"""


def run_name(billing_period: str, cutoff_batch_id: int) -> str:
    """How the runs of a period and cutoff are called in the Data Docs."""
    return f"{billing_period}-batch-{cutoff_batch_id}"


def validation_page(billing_period: str, cutoff_batch_id: int, checked_at: datetime, suite: str) -> str:
    """Where the Data Docs keep a run's page of one suite: a posix path relative to the gates' folder."""
    stamp = checked_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{DATA_DOCS}/validations/{suite}/{run_name(billing_period, cutoff_batch_id)}/{stamp}/warehouse-{suite}.html"


def make_self_contained(data_docs: Path) -> None:
    """Rewrite all pages of the Data Docs but their index."""
    for folder in ("validations", "expectations"):
        for path in sorted((data_docs / folder).rglob("*.html")):
            text = path.read_text(encoding="utf-8")
            if OWN_HEAD not in text:
                write_whole(path, self_contained(text))


def self_contained(page: str) -> str:
    """The page without scripts and web resources, with a style of its own; its `Home` is the page of the gates."""
    page = IMAGE_FROM_THE_WEB.sub("none", FROM_THE_WEB.sub("", page))
    page = HOME.sub(r'href="../\1index.html"', page)
    return re.sub(r"</head\s*>", lambda _: OWN_HEAD, page, count=1, flags=re.IGNORECASE)

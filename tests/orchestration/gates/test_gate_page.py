"""The page of the gates: what it says of stored results, that nothing in them becomes markup, and that it needs no web."""

import html
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from gates_warehouse import PERIOD

from expectations.gate import Scope
from orchestration.gates import run_gates
from orchestration.gates.offline import self_contained, validation_page
from orchestration.gates.page import RUNS_PER_PERIOD, ShownRun, render, write_page
from orchestration.gates.storing import store
from orchestration.settings import Settings

AS_OF = datetime(2026, 10, 5, 12, 30, 45, tzinfo=UTC)
NO_WEB = re.compile(r"<script|<link|<img|<iframe|@import|https?://|\son\w+=", re.IGNORECASE)


class _Page(HTMLParser):
    """What a browser sees: links, ids, and the rows of each table as texts of their cells, with the rows' classes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.tables: list[list[tuple[str | None, list[str]]]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.add(tag)
        self.links += [named["href"]] if tag == "a" else []
        self.ids += [named["id"]] if "id" in named else []
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append((named.get("class"), []))
        elif tag in ("td", "th"):
            self.tables[-1][-1][1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data):
        if self._in_cell:
            self.tables[-1][-1][1][-1] += data


def _gate(gate: str = "line_ids_unique", suite: str = "billing", **changed) -> dict:
    return {
        "gate": gate,
        "billing_period": PERIOD,
        "cutoff_batch_id": 2,
        "checked_at": "2026-10-05T12:30:45Z",
        "passed": True,
        "observed": "0 breaking rows",
        "limit": "0 ids",
        "waived": False,
        "waived_by": [],
        "suite": suite,
        "expectation": "expect_no_breaking_rows",
        "failed_rows": [],
        "detail": "It holds.",
        **changed,
    }


FAILED = _gate(
    "tiers_sum_to_lines",
    passed=False,
    observed="1 breaking rows",
    failed_rows=[{"account_id": "blue", "line_id": "L4"}],
    detail="It does not hold. 1 row(s) break it:\n- line_id=L4, account_id=blue",
)
WAIVED = _gate("currencies_known", passed=False, waived=True, waived_by=["acme", "blue"], detail="Waived for acme")


def _run(*rows: dict, cutoff: int = 2, day: int = 5, docs: dict[str, str] | None = None) -> ShownRun:
    return ShownRun(cutoff, datetime(2026, 10, day, tzinfo=UTC), rows, docs or {})


def test_the_overview_counts_the_last_run_of_each_period_the_latest_period_first():
    page = _Page(
        render({"2026-09": [_run(_gate(), FAILED, WAIVED), _run(_gate(), day=4)], "2026-10": [_run(_gate(), cutoff=3)]})
    )
    assert page.tables[0] == [
        (None, ["period", "checked at", "cutoff batch", "passed", "failed", "waived"]),
        ("passed", ["2026-10", "2026-10-05T00:00:00Z", "3", "1", "0", "0"]),
        ("failed", ["2026-09", "2026-10-05T00:00:00Z", "2", "1", "1", "1"]),
    ]
    assert page.links == ["#2026-10", "#2026-09"]
    assert page.ids == ["2026-10", "2026-09"]


def test_a_period_shows_its_last_runs_and_the_gates_of_the_last_one():
    _, history, gates = _Page(
        render({"2026-09": [_run(_gate(), FAILED, WAIVED), _run(_gate("old"), WAIVED, cutoff=1, day=4)]})
    ).tables
    assert history[1:] == [
        ("failed", ["2026-10-05T00:00:00Z", "2", "1", "1", "1", "billing"]),
        ("waived", ["2026-10-04T00:00:00Z", "1", "1", "0", "1", "billing"]),
    ]
    detail = "It does not hold. 1 row(s) break it:\n- line_id=L4, account_id=blue"
    assert gates == [
        (None, ["gate", "suite", "passed", "observed", "limit", "waived", "detail"]),
        ("passed", ["line_ids_unique", "billing", "yes", "0 breaking rows", "0 ids", "no", "It holds."]),
        ("failed", ["tiers_sum_to_lines", "billing", "no", "1 breaking rows", "0 ids", "no", detail]),
        ("waived", ["currencies_known", "billing", "no", "0 breaking rows", "0 ids", "acme, blue", "Waived for acme"]),
    ]


def test_what_is_stored_never_becomes_markup():
    evil = "</td><script>alert('1')</script><img src=http://x/ onerror=\"x\">&amp;"
    row = _gate(evil, evil, passed=False, waived=True, waived_by=[evil], observed=evil, limit=evil, detail=evil)
    text = render({"2026-09": [_run(row, docs={evil: f'a"b{evil}'})]})
    page = _Page(text)
    assert page.tables[2][1] == ("waived", [evil, evil, "no", evil, evil, evil, evil])
    assert page.tags.isdisjoint({"script", "img"})
    assert text.count(html.escape(evil)) >= 6
    assert not {'"', "<", ">"} & set("".join(page.links))


def test_the_page_needs_no_script_and_nothing_from_the_web():
    text = render({"2026-09": [_run(_gate(), FAILED)]})
    assert not NO_WEB.search(text)
    assert "default-src 'none'" in text


def test_suites_are_linked_only_where_the_data_docs_have_their_page():
    target = "data_docs/validations/billing/a b/x.html"
    page = _Page(render({"2026-09": [_run(_gate(), _gate("conservation_holds", "usage"), docs={"billing": target})]}))
    assert page.links == ["#2026-09", *["data_docs/validations/billing/a%20b/x.html"] * 2]
    assert page.tables[1][1][1][-1] == "billing, usage"


@pytest.mark.parametrize("periods", [{}, {"2026-09": []}], ids=["no period", "a period without runs"])
def test_without_runs_it_says_so(periods):
    assert "No gate has run yet." in render(periods)


def test_the_order_in_which_periods_come_changes_no_byte():
    one, two = [_run(_gate())], [_run(FAILED, cutoff=3)]
    assert render({"2026-09": one, "2026-10": two}) == render({"2026-10": two, "2026-09": one})


def test_the_last_runs_are_the_last_checked_and_older_results_are_not_opened(tmp_path):
    settings = Settings(home=tmp_path, memory_limit="512MB", threads=1)
    for day in range(1, RUNS_PER_PERIOD + 3):
        # cutoffs run against the days: what counts is when it was checked
        store(settings, Scope(PERIOD, 50 - day), datetime(2026, 10, day, tzinfo=UTC), [_gate()])
    store(settings, Scope("2026-08", 1), AS_OF, [FAILED])
    results = settings.gates / "results"
    (results / "2026-09-00000049-20261001T000000Z.json").write_text("no JSON")
    (results / "notes.json").write_text("not ours")
    page = _Page(write_page(settings).read_text(encoding="utf-8"))
    assert [cells[0] for _, cells in page.tables[0][1:]] == [PERIOD, "2026-08"]
    days = [cells[0] for _, cells in page.tables[1][1:]]
    assert days == [f"2026-10-{day:02d}T00:00:00Z" for day in range(RUNS_PER_PERIOD + 2, 2, -1)]


def test_a_run_writes_the_page_whole_with_links_that_lead_somewhere(make_home):
    settings = make_home("update billing.invoices set amount = amount + 0.01 where account_id = 'blue'")
    run = run_gates(settings, PERIOD, AS_OF)
    assert run.page == settings.gates / "index.html"
    assert run.as_dict()["page"] == str(run.page)
    text = run.page.read_text(encoding="utf-8")
    page = _Page(text)
    assert page.tables[0][1] == ("failed", [PERIOD, "2026-10-05T12:30:45Z", "2", "31", "1", "0"])
    by_gate = {cells[0]: (state, cells) for state, cells in page.tables[2][1:]}
    assert list(by_gate) == [row["gate"] for row in run.results]
    assert by_gate["lines_sum_to_invoices"][0] == "failed"
    assert "account_id=blue" in by_gate["lines_sum_to_invoices"][1][-1]
    targets = {link for link in page.links if not link.startswith("#")}
    assert targets == {validation_page(PERIOD, 2, AS_OF, suite) for suite in ("usage", "billing", "reconciliation")}
    assert all((settings.gates / target).is_file() for target in targets)
    assert {path.name for path in settings.gates.iterdir()} == {"data_docs", "index.html", "results", "validations"}
    assert write_page(settings).read_text(encoding="utf-8") == text
    assert run_gates(settings, PERIOD, AS_OF).page.read_text(encoding="utf-8") == text


def test_pages_of_the_data_docs_need_no_web_and_lead_back_to_the_page(make_home):
    settings = make_home("update billing.invoices set amount = amount + 0.01 where account_id = 'blue'")
    for day in (4, 5):
        run = run_gates(settings, PERIOD, datetime(2026, 10, day, tzinfo=UTC))
    docs = run.data_docs.parent
    pages = [path for folder in ("validations", "expectations") for path in sorted((docs / folder).rglob("*.html"))]
    assert len(pages) == 2 * 3 + 3
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"<script|<link[^>]+http|<img|url\(", text) is None
        assert "http://" not in text and "https://" not in text
        targets = [link for link in re.findall(r'<a\b[^>]*href="([^"]*)"', text) if not link.startswith("#")]
        homes = {(path.parent / link).resolve() for link in targets if link.endswith("index.html")}
        assert homes == {run.page.resolve()}
        assert all((path.parent / link).resolve().is_file() for link in targets)
    failed = (settings.gates / validation_page(PERIOD, 2, datetime(2026, 10, 5, tzinfo=UTC), "billing")).read_text()
    assert "fa-times" in failed and '.fa-times::before { content: "✗"' in failed


def test_what_a_page_says_is_kept_when_its_web_resources_go():
    page = (
        "<html><head><style>a { color: red } .b { background: url('https://host/x.png') 0 0; margin: 0 }</style>"
        '<script src="https://host/x.js"></script><link rel="stylesheet" href="https://host/x.css"/>'
        '<link rel="icon" href="../static/x.ico"/></head><body><img\n src="https://host/x.png"/>'
        '<a href="../../index.html">Home</a><script>x(1 < 2)</script><p>Limit: <= 1 %</p></body></html>'
    )
    done = self_contained(page)
    assert "https://" not in done and "<script" not in done
    assert '<a href="../../../index.html">Home</a><p>Limit: <= 1 %</p></body></html>' in done
    assert "a { color: red } .b { background: none 0 0; margin: 0 }" in done
    assert '<link rel="icon" href="../static/x.ico"/>' in done


def test_a_page_that_cannot_be_written_does_not_undo_the_results(make_home):
    settings = make_home()
    (settings.gates / "index.html").mkdir(parents=True)
    run = run_gates(settings, PERIOD, AS_OF)
    assert run.passed
    assert run.page is None
    assert run.as_dict()["page"] is None
    assert json.loads(Path(run.results_path).read_text(encoding="utf-8")) == list(run.results)
    assert {path.name for path in settings.gates.iterdir()} == {"data_docs", "index.html", "results", "validations"}

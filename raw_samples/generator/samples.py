"""Assembles the samples: draws events, plants faults, files dumps, keeps the ledger, and writes what must come out."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from raw_samples.generator import company, faults, ledger, readme, references, spoiling, truth
from raw_samples.generator.company import LANDINGS, SEED
from raw_samples.generator.events import draw_all
from raw_samples.generator.mixtures import border_events, boundaries, state_mixtures
from raw_samples.generator.model import BadRecord, Dump, Event
from raw_samples.generator.planting import Planter, landing_of
from raw_samples.generator.rating import PriceBook
from raw_samples.generator.write import as_json, dump_bytes, table_parquet, table_text, write_files

SUFFIX = {
    "api-gateway": "jsonl.gz",
    "functions-runtime": "jsonl.gz",
    "compute-agent": "csv.zst",
    "kube-meter": "parquet",
}
LATE_SUFFIX = {"api-gateway": "jsonl", "compute-agent": "csv", "kube-meter": "jsonl.zst"}
WEEKLY = ("storage-meter", "kube-meter")
PLAIN_STORAGE = ("2026-09-07", "2026-09-14", "2026-10-01", "2026-10-03")  # the other weeks are compressed


def date_of(at: int) -> str:
    return datetime.fromtimestamp(at // 1000, UTC).date().isoformat()


def first_day(event: Event) -> int:
    """Start of the dump that holds the event: its day of collection, or its week, cut at the landings."""
    day = event.ingested_ts // company.DAY * company.DAY
    if event.producer not in WEEKLY:
        return day
    monday = day - (day // company.DAY + 3) % 7 * company.DAY
    cuts = [landing.until for landing in LANDINGS if landing.until <= day]
    return max([monday, *cuts])


def file_events(events: dict[str, list[Event]]) -> dict[str, Dump]:
    """Files every event into its dump, in the order of collection."""
    dumps: dict[str, Dump] = {}
    for producer, drawn in events.items():
        for event in sorted(drawn, key=lambda e: (e.ingested_ts, e.event_id)):
            if event.late:
                batch_id = faults.LATE[event.late][0]
                start = date_of(company.instant(faults.LATE[event.late][3]))
                path = f"events/{producer}/{producer}-late-{start}.{LATE_SUFFIX[producer]}"
            else:
                batch_id, start = landing_of(event.ingested_ts), date_of(first_day(event))
                suffix = SUFFIX.get(producer) or ("csv" if start in PLAIN_STORAGE else "csv.gz")
                path = f"events/{producer}/{producer}-{start}.{suffix}"
            dumps.setdefault(f"{batch_id}/{path}", Dump(batch_id, path, producer, [])).records.append(event)
    return dumps


def reference_files(kept: ledger.Ledger) -> dict[str, bytes]:
    """All reference tables by path; fx_rates as Parquet, the others as CSV."""
    files = {}
    for landing in LANDINGS:
        tables = references.tables(landing.batch_id)
        if landing.batch_id in (2, 5):
            columns = tuple(references.COLUMNS["finance_ledger"].split())
            tables["finance_ledger"] = (columns, ledger.known_entries(kept, landing.batch_id))
        for name, (columns, rows) in tables.items():
            folder = f"arrived={landing.arrived}/reference"
            if name == "fx_rates":
                files[f"{folder}/{name}.parquet"] = table_parquet(columns, rows)
            else:
                files[f"{folder}/{name}.csv"] = table_text(columns, rows)
    return files


def make(seed: int = SEED) -> dict[str, bytes]:
    """Every file of the samples: path → bytes."""
    events = draw_all(seed)
    planter = Planter(events, seed)
    planter.spare(border_events(events["api-gateway"]))
    faults.alter(planter)
    state_mixtures(planter)
    dumps = file_events(events)
    spoiling.spoil(dumps, planter)
    walked = truth.walk(list(dumps.values()))
    last = LANDINGS[-1].batch_id
    book = PriceBook(references.prices(last), references.account_plans(last))
    usage = ledger.by_period(walked.usage)
    bills = ledger.bill(usage, book)
    kept = ledger.keep_ledger(usage, book, bills)
    gate = ledger.check_gate(bills, kept)
    files = {f"arrived={LANDINGS[d.batch_id - 1].arrived}/{d.path}": dump_bytes(d) for d in dumps.values()}
    files |= reference_files(kept)
    wanted = expected(walked, bills, kept, gate, planter, list(dumps.values()))
    files["expected.json"] = as_json(wanted)
    files["README.md"] = readme.text(wanted, planter.plants, files)
    return files


def expected(
    walked: truth.Walk,
    bills: ledger.Bills,
    kept: ledger.Ledger,
    gate: list[dict],
    planter: Planter,
    dumps: list[Dump],
) -> dict:
    """The content of expected.json."""
    billed = defaultdict(Decimal)
    for period, rated in bills.usage_lines.items():
        for line in rated:
            billed[period, line.account_id, line.currency] += line.amount
    invoices = defaultdict(Decimal)
    for (period, account_id, _, currency), amount in bills.by_key.items():
        invoices[period, company.INVOICED_ON[account_id], currency] += amount
    names = ("billing_period", "account_id", "currency_code")

    def rows(sums: dict) -> list[dict]:
        return [dict(zip(names, key, strict=True)) | {"amount": amount} for key, amount in sorted(sums.items())]

    return {
        "seed": SEED,
        "landings": [{"batch_id": x.batch_id, "folder": f"arrived={x.arrived}", "as_of": x.as_of} for x in LANDINGS],
        "closes": [
            {"billing_period": c.period, "as_of": c.as_of, "cutoff_batch_id": c.cutoff_batch_id} for c in company.CLOSES
        ],
        "batches": walked.batches,
        "conflicting_duplicates": sorted(walked.conflicting_ids),
        "usage_monthly": truth.monthly(walked.usage, LANDINGS[-1].batch_id),
        "usage_monthly_final": [
            row
            for close in company.CLOSES
            for row in truth.monthly(walked.usage, close.cutoff_batch_id)
            if row["billing_period"] == close.period
        ],
        "boundaries": boundaries(planter.events["api-gateway"]),
        "price_changes": [{"sku": c[0], "valid_from": c[1]} for c in company.PRICE_CHANGES],
        "invoice_lines": [
            {
                "billing_period": line.period,
                "account_id": line.account_id,
                "sku": line.sku,
                "region": line.region,
                "price_id": line.price_id,
                "currency_code": line.currency,
                "quantity": line.quantity,
                "precise_amount": line.precise,
                "amount": line.amount,
            }
            for rated in bills.usage_lines.values()
            for line in rated
        ],
        "billed_usage": rows(billed),
        "adjustments": bills.adjustments,
        "invoices": rows(invoices),
        "ledger_breaks": kept.breaks,
        "gate": gate,
        "pii": pii(planter, dumps),
        "plants": [
            {"name": p.name, "where": p.where, "rule": p.rule, "figure": p.figure, "ids": p.ids} for p in planter.plants
        ],
    }


def pii(planter: Planter, dumps: list[Dump]) -> dict:
    """Records with personal data per batch (copies and bad ones too), and values that must not reach the lake."""
    told = {event_id for plant in planter.plants if plant.rule == "4" for event_id in plant.ids}
    records: Counter = Counter()
    for dump in dumps:
        if not dump.cut:
            records[str(dump.batch_id)] += sum(
                b"billing@example.com" in r.raw
                if isinstance(r, BadRecord) and r.raw
                else getattr(r, "event_id", None) in told
                for r in dump.records
            )
    values = [template.format(n=n) for _, _, _, template in faults.PII_PLANTS for n in range(1, faults.PII_RECORDS + 1)]
    words = {
        word.strip(",")
        for value in values
        for word in value.split()
        if "example.com" in word or word.startswith(("192.", "+1-"))
    }
    return {
        "records": dict(sorted(records.items())),
        "values": sorted({*words, "4111 1111 1111 1111", "billing@example.com"}),
    }


def write(folder: Path) -> None:
    """Writes the samples below a folder."""
    write_files(folder, make())

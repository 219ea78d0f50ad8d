"""Spoils the filed dumps: redeliveries, copies of whole files, bad records, a truncated file (rules 1, 2, 5)."""

from dataclasses import replace

from raw_samples.generator.badrecords import insert_bad_records
from raw_samples.generator.company import LANDINGS
from raw_samples.generator.model import Dump, Event
from raw_samples.generator.planting import Planter, by_stem, ids_of


def spoil(dumps: dict[str, Dump], planter: Planter) -> None:
    """All faults of the filed dumps: duplicates, copies, bad records, the truncated file."""
    redeliver(dumps, planter)
    copy_files(dumps, planter)
    insert_bad_records(dumps, planter)
    truncate(dumps, planter)


REDELIVERED = (  # from dump, into dump, identical records, records with another payload
    ("api-gateway-2026-09-11", "api-gateway-2026-09-12", 60, 3),
    ("functions-runtime-2026-09-16", "functions-runtime-2026-09-17", 40, 0),
    ("compute-agent-2026-09-20", "compute-agent-2026-09-21", 30, 2),
    ("kube-meter-2026-09-07", "kube-meter-2026-09-14", 25, 0),
    ("api-gateway-2026-09-30", "api-gateway-2026-10-01", 120, 2),
    ("functions-runtime-2026-09-30", "functions-runtime-2026-10-01", 30, 0),
    ("api-gateway-2026-09-25", "api-gateway-2026-10-08", 35, 4),
    ("functions-runtime-2026-10-20", "functions-runtime-2026-10-21", 50, 3),
    ("compute-agent-2026-10-30", "compute-agent-2026-10-31", 20, 0),
    ("api-gateway-2026-10-31", "api-gateway-2026-11-01", 45, 1),
    ("api-gateway-2026-10-29", "api-gateway-late-2026-11-08", 20, 1),
)


def redeliver(dumps: dict[str, Dump], planter: Planter) -> None:
    """Events that come again in a later dump, some with another quantity (rule 5: the first one counts)."""
    for source, target, same, changed in REDELIVERED:
        origin, again = by_stem(dumps, source), by_stem(dumps, target)
        pool = [r for r in origin.records if isinstance(r, Event) and not r.held and r.account and not r.known_from]
        step = len(pool) // (same + changed)
        chosen = pool[:: max(step, 1)][: same + changed]
        if len(chosen) < same + changed:
            raise ValueError(f"{source} is too small for its plant")
        copies = [replace(e, quantity=e.quantity + 7) for e in chosen[:changed]] + chosen[changed:]
        again.records += copies
        planter.note(
            f"{same + changed} events of {source} come again in {target}",
            again.path,
            "5",
            f"duplicates of batch {again.batch_id}: {same + changed}, of them conflicting: {changed}",
            ids_of(chosen),
        )


COPIES = (  # original, batch, folder and suffix of the copy, compression level, bytes after the last record, told as
    ("storage-meter-2026-09-07", 1, ("", "-resent.csv"), 9, b"\n", "the same file with one more newline at its end"),
    ("storage-meter-2026-09-28", 2, ("", "-resent.csv.gz"), 1, b"", "the same file, compressed anew"),
    (
        "api-gateway-2026-09-18",
        3,
        ("replay/", "-replay.jsonl.gz"),
        4,
        b"",
        "the same file a month later, compressed anew",
    ),
    (
        "compute-agent-2026-10-26",
        4,
        ("", "-resent.csv.zst"),
        9,
        b"\n\n",
        "the same file with two more newlines at its end",
    ),
)


def copy_files(dumps: dict[str, Dump], planter: Planter) -> None:
    """Whole files that come again under another name with other bytes."""
    for stem, batch, (subfolder, suffix), level, tail, told in COPIES:
        origin = by_stem(dumps, stem)
        path = f"events/{origin.producer}/{subfolder}{stem}{suffix}"
        copy = Dump(batch, path, origin.producer, list(origin.records), level, tail)
        dumps[f"{batch}/{path}"] = copy
        planter.note(
            told,
            f"arrived={LANDINGS[batch - 1].arrived}/{path}",
            "2, 5",
            f"duplicates of batch {batch}: {len(copy.records)}",
            [],
        )


TRUNCATED = ("functions-runtime-2026-10-02", 2, 3)  # comes truncated in batch 2, whole in batch 3


def truncate(dumps: dict[str, Dump], planter: Planter) -> None:
    """One dump arrives torn, and whole with the next landing."""
    stem, torn_batch, whole_batch = TRUNCATED
    whole = by_stem(dumps, stem)
    del dumps[f"{whole.batch_id}/{whole.path}"]
    torn = Dump(torn_batch, whole.path, whole.producer, whole.records, cut=True)
    dumps[f"{torn_batch}/{whole.path}"] = torn
    whole.batch_id = whole_batch
    dumps[f"{whole_batch}/{whole.path}"] = whole
    planter.note(
        "a truncated gzip",
        f"arrived={LANDINGS[torn_batch - 1].arrived}/{whole.path}",
        "contract 2",
        f"1 rejected file, 0 records in batch {torn_batch}; whole in batch {whole_batch}: {len(whole.records)} records",
        [],
    )

"""The generator's words: an event with what is true of it, a record to be rejected, a dump, a plant."""

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(slots=True)
class Event:
    """A usage event as a producer emits it, and (last four fields) what the generator knows to be true of it.

    Times are epoch milliseconds. `account` is who it truly belongs to (None: nobody), `held` why its registry entry is
    missing, `known_from` the batch from which reference data resolve it, `late` the label of its late delivery.
    """

    producer: str
    event_id: str
    event_ts: int
    ingested_ts: int
    metric: str
    quantity: Decimal
    unit: str
    sku: str | None = None
    account_id: str | None = None
    api_key: str | None = None
    namespace: str | None = None
    resource_id: str | None = None
    region: str | None = None
    sampling_rate: str | None = None
    dims: dict | None = None
    extra: dict | None = None
    account: str | None = None
    held: str | None = None
    known_from: int = 0
    late: str | None = None

    def payload(self) -> tuple:
        """All but identity and time of collection: a repeated identity with another payload conflicts."""
        return (
            self.event_ts,
            self.metric,
            self.quantity,
            self.unit,
            self.sku,
            self.account_id,
            self.api_key,
            self.namespace,
            self.resource_id,
            self.region,
            self.sampling_rate,
            str(self.dims),
            str(self.extra),
        )


@dataclass(slots=True)
class BadRecord:
    """A record that landing must reject: for text formats its raw bytes, for Parquet the cells to write."""

    reasons: tuple[str, ...]
    raw: bytes | None = None
    cells: dict | None = None


@dataclass(slots=True)
class Dump:
    """One file of a landing. `level` compresses it, `tail` follows its last record, `cut` truncates it."""

    batch_id: int
    path: str
    producer: str
    records: list
    level: int = 9
    tail: bytes = b""
    cut: bool = False


@dataclass
class Plant:
    """A planted fault: what, where, by which rule, and the figure that it must lead to."""

    name: str
    where: str
    rule: str
    figure: str
    ids: list = field(default_factory=list)

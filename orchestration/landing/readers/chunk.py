"""What a reader cuts a dump into, and what it makes of a piece."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, Self

import pyarrow as pa


class Piece(Protocol):
    """Some records of a dump, as its reader cuts them off."""

    @property
    def numbers(self) -> pa.Array:
        """The row numbers of what may be records."""

    def fit(self) -> pa.Array | None:
        """Which records may have columns: all others have none. Null where all may."""

    def columns(self) -> pa.RecordBatch | None:
        """One row per number, under the dump's own names, each value as the full way would read it or as its text.

        Null, or an ArrowException, where that cannot be had of all of them. For pieces of which all are fit.
        """

    def halves(self) -> Sequence[Self]:
        """Two pieces for this one, of which one may have columns; none where that is not worth a try."""

    def filtered(self, mask: pa.Array) -> Self:
        """The records where the mask is true."""


class Chunk(NamedTuple):
    """Some records of a dump: `rows` in `fields.CHUNK_SCHEMA`.

    `records` makes the records of some rows, given by their place in the chunk, where the format has no bytes of its
    own for a record; null where `rows` holds them. `header` names the cells of a CSV record.
    """

    rows: pa.Table
    records: Callable[[list[int]], list[bytes]] | None = None
    header: list[str] | None = None

"""What a reader makes of a piece of a dump."""

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa


class Chunk(NamedTuple):
    """Some records of a dump: `rows` in `fields.CHUNK_SCHEMA`.

    `records` makes the records of some rows, given by their place in the chunk, where the format has no bytes of its
    own for a record; null where `rows` holds them. `header` names the cells of a CSV record.
    """

    rows: pa.Table
    records: Callable[[list[int]], list[bytes]] | None = None
    header: list[str] | None = None

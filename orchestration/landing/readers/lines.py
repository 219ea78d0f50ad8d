"""Lines of a text dump as one run of bytes: cut up only where single lines are wanted, which ordinary ones are not."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

LEAST = 512  # so few lines are not halved: whichever of them is odd, all of them soon are done by text
FEED, RETURN = b"\n\r"


@dataclass(frozen=True)
class Lines:
    """Lines of a dump in their order: `numbers` by which they are called, and their bytes joined by line feeds.

    `ends` are the places of those feeds, and of the text's end. `cut_length` is the true length of a single line of
    which only the beginning is kept.
    """

    numbers: np.ndarray
    text: bytes
    ends: np.ndarray
    cut_length: int = 0

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def starts(self) -> np.ndarray:
        return np.concatenate(([0], self.ends[:-1] + 1))

    @property
    def longest(self) -> int:
        """The length of the longest line."""
        return max(self.cut_length, int((self.ends - self.starts).max()))

    def sliced(self, first: int, last: int) -> "Lines":
        """The lines from one place up to another."""
        start = int(self.ends[first - 1]) + 1 if first else 0
        text = self.text[start : int(self.ends[last - 1])]
        return Lines(self.numbers[first:last], text, self.ends[first:last] - start, self.cut_length)

    def halves(self) -> list["Lines"]:
        """The first and the second half; nothing where so few lines are not worth it."""
        if len(self) < LEAST:
            return []
        middle = len(self) // 2
        return [self.sliced(0, middle), self.sliced(middle, len(self))]

    def filtered(self, mask: pa.Array) -> "Lines":
        """The lines where the mask is true."""
        kept = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
        spans = zip(self.starts[kept].tolist(), self.ends[kept].tolist(), strict=True)
        return of_text(b"\n".join([self.text[start:end] for start, end in spans]), self.numbers[kept])


def of_text(text: bytes, numbers: np.ndarray | int, cut_length: int = 0) -> Lines:
    """The lines of a text by their numbers, or by that of the first of them."""
    ends = np.append(np.flatnonzero(np.frombuffer(text, np.uint8) == FEED), len(text))
    if isinstance(numbers, int):
        numbers = np.arange(numbers, numbers + len(ends))
    return Lines(numbers, text, ends, cut_length)


def lines_of(places: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Which line each place of a text lies in, by where the lines start."""
    return np.searchsorted(starts, places, "right") - 1


def is_text(found: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    if found.isascii():
        return True
    try:
        found.decode()
    except UnicodeDecodeError:
        return False
    return True

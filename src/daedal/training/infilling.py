"""Windows of a stream, some of whose documents are rearranged so that a model learns to fill in their middle.

The second half of "Efficient training of language models to fill in the middle" (Bavarian et al. 2022, arXiv:2207.14255), as it
is done at the level of the context: a window is cut out of the stream first, then what it holds of each document is rearranged
by itself, so that no window begins or ends inside of a rearranged one, and none loses its suffix or its middle to the border.

- a share of the documents in the windows, drawn by chance; the others are learned as they stand, from left to right
- cut at two characters that are drawn evenly; both orders, prefix-suffix-middle and suffix-prefix-middle, by halves
- each piece is encoded by itself; the middle ends with the end of text, which says that the hole is full
- half of the rearranged have the path of their file before them, where the data knows it
- the marks take room: what no longer fits is taken from the end of the suffix; one at the end of a window that would lose all
  of it is learned from left to right as far as it fits
- a window is a function of the seed and its number alone, as the windows of `data/windows.py` are
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from daedal.codecs.infilling import Infilling, Order
from daedal.codecs.text import TextCodec
from daedal.data.shards import Split
from daedal.data.windows import Windows
from daedal.errors import DaedalError
from daedal.models.model import IGNORE

Array = np.ndarray
NAMED = 0.5
"""Share of the rearranged that have their path before them."""
_FEWEST = 3  # characters that have a beginning, a middle and an end


class Part(NamedTuple):
    """What a window holds of a document.

    Attributes:
        ids: its tokens, without the end of text.
        ends: whether the end of text follows.
    """

    document: int
    ids: Int64[Array, " tokens"]
    ends: bool


class Cut(NamedTuple):
    """How a part is rearranged."""

    row: int
    part: Part
    order: Order
    path: str | None
    texts: tuple[str, str, str]


class InfillingWindows(Windows):
    """Windows of `context` tokens.

    Args:
        share: of the documents in the windows that are rearranged.
        path_of: the path of a document of the split; None where it has none.
    """

    def __init__(
        self, split: Split, context: int, seed: int, codec: TextCodec, share: float,
        path_of: Callable[[int], str | None] = lambda document: None,
    ) -> None:  # fmt: skip
        super().__init__(split, context, seed)
        marks = Infilling.of(codec)
        assert marks is not None
        assert codec.eos_id is not None
        self._codec, self._marks, self._end, self._share, self._path_of = codec, marks, codec.eos_id, share, path_of

    def batch(
        self, first_sample: int, count: int
    ) -> tuple[Int64[Array, "count context"], Int64[Array, "count context"]]:
        """Inputs and targets of `count` samples from `first_sample` on; what fills up a row is not learned."""
        starts = self.starts(first_sample, count)
        rows = self.split.gather(starts, self.context + 1)
        parts = [self._parts(int(start), row) for start, row in zip(starts, rows, strict=True)]
        cuts: dict[tuple[int, int], Cut] = {}
        for row, of_row in enumerate(parts):
            chance = np.random.default_rng((self.seed, first_sample + row))
            for place, part in enumerate(of_row):
                if (cut := self._cut(row, part, chance)) is not None:
                    cuts[row, place] = cut
        ids = iter(self._codec.encode_batch([text for cut in cuts.values() for text in cut.texts]))
        pieces = {where: (next(ids), next(ids), next(ids)) for where in cuts}
        whole = np.full((count, self.context + 1), self._end, dtype=np.int64)
        lengths = np.zeros(count, dtype=np.int64)
        for row, of_row in enumerate(parts):
            room = self.context + 1
            for place, part in enumerate(of_row):
                written = self._rearranged(cuts[row, place], pieces[row, place], room) if (row, place) in cuts else None
                if written is None:
                    written = [*part.ids.tolist(), self._end] if part.ends else part.ids.tolist()
                written = written[:room]
                begin = self.context + 1 - room
                whole[row, begin : begin + len(written)] = written
                room -= len(written)
            lengths[row] = self.context + 1 - room
        targets = whole[:, 1:].copy()
        targets[np.arange(1, self.context + 1) >= lengths[:, None]] = IGNORE
        return whole[:, :-1], targets

    def _parts(self, start: int, row: Int64[Array, " window"]) -> list[Part]:
        """The documents that a window holds parts of."""
        offsets, stop = self.split.offsets, start + len(row)
        first = int(np.searchsorted(offsets, start, side="right")) - 1
        last = int(np.searchsorted(offsets, stop, side="left"))
        parts = []
        for document in range(first, last):
            begin, end = max(start, int(offsets[document])), min(stop, int(offsets[document + 1]))
            ends = end == offsets[document + 1]
            parts.append(Part(document, row[begin - start : end - start - ends], bool(ends)))
        return parts

    def _cut(self, row: int, part: Part, chance: np.random.Generator) -> Cut | None:
        """How a part is to be rearranged; None where it stays as it is."""
        chosen, other_order, named, *places = chance.random(5)
        if chosen >= self._share:
            return None
        try:
            text = b"".join(map(self._codec.token_bytes, part.ids.tolist())).decode()
        except UnicodeDecodeError:  # the window cuts a character in two
            return None
        if len(text) < _FEWEST:
            return None
        low, high = sorted(int(place * (len(text) + 1)) for place in places)
        order: Order = "spm" if other_order < 0.5 else "psm"
        path = self._path_of(part.document) if named < NAMED else None
        return Cut(row, part, order, path, (text[:low], text[low:high], text[high:]))

    def _rearranged(self, cut: Cut, pieces: tuple[list[int], list[int], list[int]], room: int) -> list[int] | None:
        """The ids of a rearranged part in so much room; None where its suffix would be lost."""
        prefix, middle, suffix = pieces
        excess = len(self._marks.arranged(prefix, suffix, cut.path, cut.order)) + len(middle) + 1 - room
        if excess > 0:
            if excess >= len(suffix):
                return None
            suffix = suffix[:-excess]
        return [*self._marks.arranged(prefix, suffix, cut.path, cut.order), *middle, self._end]


def require_room(context: int) -> None:
    """
    Raises:
        DaedalError: a window has no room for a rearranged document.
    """
    if context < 16:
        raise DaedalError(f"A context of {context} has no room for text in three pieces", "Give --context 16 or more")

"""Windows of tunes: what a model of tunes learns from and is judged on.

A window is what is said of the tune, a begin, and codes from a place on where the layout allows it; so whatever lies before a
window is written on without it. Training windows begin anywhere, transposed and in another tempo where that is asked for, and
each is a pure function of the seed and its number. Judged is every code once, with at least half a window before it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from daedal.codecs.tune_codec import TuneCodec
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.models.model import IGNORE
from daedal.nn.noise import Noise

Array = np.ndarray


class Changes(NamedTuple):
    """What is changed of tunes that are learned.

    Attributes:
        transpose: semitones by which they are moved up or down, at most; never out of the pitches that the data have.
        tempo: steps of the 32 tempos by which they are faster or slower, at most.
        hidden: share of what is said of them that is not said.
    """

    transpose: int = 0
    tempo: int = 0
    hidden: float = 0.0


class Window(NamedTuple):
    """Where judged windows lie.

    Attributes:
        row: of which tune.
        first: the code at which it begins.
        judged: the first code that is judged.
        last: behind the last one.
    """

    row: int
    first: int
    judged: int
    last: int


class TuneWindows:
    """The windows of a split.

    Args:
        rows: the ids of each tune: an opening, codes, an end.
        length: codes of a window.

    Raises:
        DaedalError: there are no tunes.
    """

    def __init__(self, rows: Sequence[Int64[Array, " ids"]], codec: TuneCodec, length: int) -> None:
        if not len(rows):
            raise DaedalError("The split has no tunes", "Give more of them")
        self.codec, self.length = codec, length
        self.openings = [row[: codec.opening] for row in rows]
        self.codes = [np.asarray(row[codec.opening :]) for row in rows]  # with their end
        self.cuts = [codec.layout.cuts(codes[:-1]) for codes in self.codes]
        self._firsts = np.cumsum([0, *map(len, self.cuts)])
        self._pitched: dict[int, Bool[Array, " codes"]] = {}

    @property
    def total(self) -> int:
        """Codes of all tunes, ends included."""
        return sum(map(len, self.codes))

    @property
    def width(self) -> int:
        """Ids of a window."""
        return self.codec.opening - 1 + self.length

    # -- to learn from -------------------------------------------------------------------------------------------------

    def batch(
        self, first: int, count: int, seed: int, changes: Changes
    ) -> tuple[Int64[Array, "count width"], Int64[Array, "count width"]]:
        """Inputs and targets of windows `first` to `first + count` of an endless stream, in whose middle each place where a
        window may begin comes once before any comes again."""
        places, _ = visit(first, count, int(self._firsts[-1]), seed)
        noise = Noise(seed, first, count)
        said = noise.uniform("said", len(self.codec.conditions)).numpy() < changes.hidden
        drawn = noise.uniform("changes", 2).numpy()
        inputs, targets = self._blank(count)
        for number, place in enumerate(places.astype(np.int64)):
            row = int(np.searchsorted(self._firsts, place, side="right")) - 1
            cuts = self.cuts[row]
            middle = int(cuts[place - self._firsts[row]])
            begin = int(cuts[max(0, int(np.searchsorted(cuts, middle - self.length // 2, side="right")) - 1)])
            codes, opening = self._changed(row, begin, changes, drawn[number])
            hidden = np.flatnonzero(said[number])
            opening[hidden] = np.array(self.codec.said({}), dtype=np.int64)[hidden]
            judged = self.codec.layout.unjudged if begin else 0
            self._fill(inputs[number], targets[number], opening, codes, judged)
        return inputs, targets

    def _changed(self, row: int, begin: int, changes: Changes, drawn: Array) -> tuple[Array, Array]:
        """The codes of a window and what is said before them, transposed and in another tempo by two numbers from 0 to 1."""
        layout = self.codec.layout
        if row not in self._pitched:
            self._pitched[row] = np.append(layout.pitched(self.codes[row][:-1]), False)
        end = begin + self.length
        codes, pitched = self.codes[row][begin:end], self._pitched[row][begin:end]
        opening, found = self.openings[row].copy(), codes[pitched] - layout.first_pitch
        if changes.transpose and len(found):
            low = min(0, max(-changes.transpose, layout.lowest - int(found.min())))
            high = max(0, min(changes.transpose, layout.highest - int(found.max())))
            semitones = low + int(drawn[0] * (high - low + 1))
            codes, opening = codes + semitones * pitched, self.codec.transposed(opening, semitones)
        if changes.tempo:
            steps = int(drawn[1] * (2 * changes.tempo + 1)) - changes.tempo
            ended = codes == self.codec.end
            codes = np.where(ended, codes, layout.hastened(np.where(ended, 0, codes), steps))
        return codes, opening

    # -- to be judged --------------------------------------------------------------------------------------------------

    def judged(self) -> list[Window]:
        """Windows in which every code is judged once, with as much before it as at least half a window holds."""
        return [window for row in range(len(self.codes)) for window in self._judged(row)]

    def _judged(self, row: int) -> list[Window]:
        total, cuts, done, found = len(self.codes[row]), self.cuts[row], 0, list[Window]()
        while done < total:
            first = 0
            if done:
                first = done - self.length // 2
                place = int(np.searchsorted(cuts, first))
                if place < len(cuts) and cuts[place] < done:
                    first = int(cuts[place])
            found.append(Window(row, first, done, min(total, first + self.length)))
            done = found[-1].last
        return found

    def rows_of(self, windows: Sequence[Window]) -> tuple[Int64[Array, "windows width"], Int64[Array, "windows width"]]:
        """Inputs and targets of windows; what is not judged in them is ignored."""
        inputs, targets = self._blank(len(windows))
        for number, (row, first, judged, last) in enumerate(windows):
            self._fill(inputs[number], targets[number], self.openings[row], self.codes[row][first:last], judged - first)
        return inputs, targets

    def _blank(self, count: int) -> tuple[Array, Array]:
        shape = (count, self.width)
        return np.zeros(shape, dtype=np.int64), np.full(shape, IGNORE, dtype=np.int64)

    def _fill(self, inputs: Array, targets: Array, opening: Array, codes: Array, judged: int) -> None:
        """Write a window into rows: `codes` behind `opening`, and from which of them on they are judged."""
        begin, size = len(opening), len(codes)
        inputs[:begin] = opening
        inputs[begin : begin + size - 1] = codes[:-1]
        targets[begin - 1 + judged : begin - 1 + size] = codes[judged:]

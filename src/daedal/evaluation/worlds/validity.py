"""How many of many pictures are scenes, and how much of the world they show, by the judge alone: no network, no features."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import log

import numpy as np
from jaxtyping import UInt8

from daedal.data.worlds.scenes import COLOURS, Pair
from daedal.data.worlds.shapes import SHAPES, Shape
from daedal.evaluation.worlds.judge import STRICT, Reading, read

ALL_PAIRS: tuple[Pair, ...] = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)


@dataclass(frozen=True)
class Validity:
    """What the judge read in pictures.

    Attributes:
        count: of pictures.
        valid: of those that it read completely.
        pairs: how often each pair of colour and shape stands in a valid picture.
        numbers: how many valid pictures have one, two, ... things.
        patches: for each shape, how many things look most like it, in all pictures, and how many of these overlap with
            their template by `STRICT` or more.
        problems: how many pictures have a problem of each kind; a picture may have several.
    """

    count: int
    valid: int
    pairs: dict[Pair, int]
    numbers: dict[int, int]
    patches: dict[Shape, tuple[int, int]]
    problems: dict[str, int]

    @property
    def share(self) -> float:
        """Valid pictures as a share of all."""
        return self.valid / self.count if self.count else 0.0

    def coverage(self, pairs: Iterable[Pair] = ALL_PAIRS) -> float:
        """The share of these pairs of colour and shape that occur."""
        wanted = tuple(pairs)
        return sum(self.pairs.get(pair, 0) > 0 for pair in wanted) / len(wanted)

    def divergence(self, pairs: Iterable[Pair] = ALL_PAIRS) -> float:
        """Kullback-Leibler divergence of how often each of these pairs occurs from equally often, in nats. With n things drawn
        equally it is about (pairs - 1) / 2n, not 0."""
        wanted = tuple(pairs)
        found = [self.pairs.get(pair, 0) for pair in wanted]
        total = sum(found)
        return sum(n / total * log(n / total * len(wanted)) for n in found if n) if total else log(len(wanted))

    @property
    def strict(self) -> float:
        """The share of all things seen, in valid pictures and others, that pass the shape test."""
        seen = sum(many for many, _ in self.patches.values())
        return sum(passed for _, passed in self.patches.values()) / seen if seen else 0.0


def validity(pictures: Iterable[UInt8[np.ndarray, "side side 3"]]) -> Validity:
    """Reads pictures and counts.

    Raises:
        DaedalError: a picture that the judge does not take.
    """
    return count_readings(map(read, pictures))


def count_readings(readings: Iterable[Reading]) -> Validity:
    """The same from readings that there are."""
    count = valid = 0
    pairs: Counter[Pair] = Counter()
    numbers: Counter[int] = Counter()
    seen: Counter[Shape] = Counter()
    passed: Counter[Shape] = Counter()
    problems: Counter[str] = Counter()
    for reading in readings:
        count += 1
        valid += reading.valid
        problems.update(set(reading.kinds))
        for thing, overlap in zip(reading.things, reading.overlaps, strict=True):
            seen[thing.shape] += 1
            passed[thing.shape] += overlap >= STRICT
        if reading.valid:
            numbers[len(reading.things)] += 1
            pairs.update(thing.pair for thing in reading.things)
    return Validity(
        count=count,
        valid=valid,
        pairs=dict(pairs),
        numbers=dict(sorted(numbers.items())),
        patches={shape: (seen[shape], passed[shape]) for shape in SHAPES},
        problems=dict(problems.most_common()),
    )

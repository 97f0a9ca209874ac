"""Things of a clip, followed through its frames: each colour is a thing, as two things of a moving scene differ in colour.

Every frame is read by the judge of still scenes. A track is the parts of one colour in time order; what a frame shows besides,
or what nobody can read in it, makes the frame unclean.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, UInt8

from daedal.data.worlds.scenes import Colour
from daedal.data.worlds.shapes import Shape, area, centroid, distance, turning
from daedal.evaluation.worlds.judge import Fit, Part, fit, moments, segment

Frames = UInt8[np.ndarray, "frames side side 3"]
Course = Float[np.ndarray, " frames"]
_SEARCH = np.radians(np.arange(-34, 35, 4.0))  # around where a thing was turned to a frame before, or was heading
_FINER = np.radians(np.arange(-3, 4, 1.0))


@dataclass(frozen=True)
class Track:
    """A thing in the frames from the first to the last in which it is; None where it is not seen between them.

    Attributes:
        side: of the frames, in pixels.
        first: the number of its first frame.
        frames: of the clip.
    """

    colour: Colour
    parts: tuple[Part | None, ...]
    side: int
    first: int
    frames: int

    @property
    def whole(self) -> bool:
        """Whether it is in all frames from its first to the clip's last."""
        return None not in self.parts and self.first + len(self.parts) == self.frames

    @cached_property
    def there(self) -> tuple[Part, ...]:
        """Where it is seen."""
        return tuple(part for part in self.parts if part is not None)

    @cached_property
    def fits(self) -> tuple[Fit, ...]:
        """The upright shape that fits best, wherever it is seen."""
        return tuple(fit(part, self.side) for part in self.there)

    @cached_property
    def moments(self) -> Float[np.ndarray, "seen 3"]:
        """Pixels that it covers, and its centre of gravity in sides of the picture."""
        return np.array([moments(part.exact, part.box, self.side) for part in self.there])

    @property
    def sizes(self) -> Course:
        """The square root of what it covers: in proportion to its size, whatever its shape."""
        return np.asarray(np.sqrt(self.moments[:, 0]) / self.side)

    def places(self, shape: Shape, turns: Course | None = None) -> Float[np.ndarray, "seen 2"]:
        """The centre of a shape that covers what it does; upright, unless it is told how it is turned."""
        sizes = self.sizes / area(shape) ** 0.5
        off = np.broadcast_to(centroid(shape), (len(sizes), 2))
        if turns is not None:
            off = np.stack([turning(turn) @ each for turn, each in zip(turns, off, strict=True)])
        return np.asarray(self.moments[:, 1:] - sizes[:, None] * off)

    def turns(self, shape: Shape) -> tuple[Course, Course]:
        """How far a shape that begins upright is turned, in radians clockwise, and how well it overlaps then."""
        turn, speed = 0.0, 0.0
        turned, overlaps = [], []
        for place, part in enumerate(self.there):
            if place == 0:
                found, overlap = 0.0, float(self._overlaps(shape, part, np.zeros(1))[0])
            else:
                found, overlap = turn + speed, 0.0
                for steps in (_SEARCH, _FINER):
                    tried = found + steps
                    each = self._overlaps(shape, part, tried)
                    found, overlap = float(tried[each.argmax()]), float(each.max())
                speed = found - turn
            turn = found
            turned.append(turn)
            overlaps.append(overlap)
        return np.array(turned), np.array(overlaps)

    def _overlaps(self, shape: Shape, part: Part, turns: Float[np.ndarray, " turns"]) -> Float[np.ndarray, " turns"]:
        """Intersection over union of a part with a shape of its size and centre of gravity, turned so and so far."""
        total, x, y = moments(part.exact, part.box, self.side)
        size = (total / area(shape)) ** 0.5
        top, bottom, left, right = part.box
        points = np.empty((bottom - top, right - left, 2))
        points[..., 0] = (np.arange(left, right) + 0.5 - x * self.side) / size
        points[..., 1] = ((np.arange(top, bottom) + 0.5 - y * self.side) / size)[:, None]
        around = np.stack([points @ turning(turn) for turn in turns.tolist()]) + centroid(shape)
        template = np.clip(0.5 - distance(shape, around) * size, 0, 1)
        both = np.minimum(template, part.exact).sum(axis=(1, 2))
        return np.asarray(both / np.maximum(template, part.exact).sum(axis=(1, 2)))


@dataclass(frozen=True)
class Tracks:
    """What a clip shows.

    Attributes:
        clean: which frames could be read whole, and have one thing of each colour.
    """

    tracks: tuple[Track, ...]
    clean: Bool[np.ndarray, " frames"]


def track(clip: Frames) -> Tracks:
    """Follow the things of a clip.

    Raises:
        DaedalError: frames that the judge does not take.
    """
    side, count = clip.shape[1], len(clip)
    clean = np.ones(count, dtype=bool)
    seen: dict[Colour, dict[int, Part]] = {}
    for number, frame in enumerate(clip):
        parts, _, problems = segment(frame)
        colours = [part.colour for part in parts]
        clean[number] = not problems and len(set(colours)) == len(colours)
        for part in sorted(parts, key=lambda part: float(part.cover.sum())):  # of two of a colour the larger one
            seen.setdefault(part.colour, {})[number] = part
    tracks = [
        Track(colour, tuple(parts.get(number) for number in range(min(parts), max(parts) + 1)), side, min(parts), count)
        for colour, parts in seen.items()
    ]
    return Tracks(tuple(sorted(tracks, key=lambda each: (each.first, -each.moments[0, 0]))), clean)

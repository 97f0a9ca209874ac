"""Pictures that come with Daedal: scikit-learn's handwritten digits, and scenes without end.

`digits` are the 1,797 handwritten digits of 8 by 8 pixels in 17 shades that scikit-learn ships (UCI's "Optical Recognition of
Handwritten Digits"): shade v becomes the level round(v * 255 / 16), white on black. Their class is the digit.

`scenes:N,option=value,...` are drawn at the size that is asked for (`SceneOptions`). The class of a scene is its pair of colour
and shape ("red circle") where scenes have one object each, and else how many there are ("three").
"""

from collections.abc import Iterator

import numpy as np

from daedal.data.images.captions import describe, phrasing
from daedal.data.images.origin import Origin
from daedal.data.images.picture import Picture
from daedal.data.worlds.scene_generator import scene
from daedal.data.worlds.scene_options import SceneOptions
from daedal.data.worlds.scenes import LARGEST_SIDE, SMALLEST_SIDE, Scene, draw
from daedal.errors import DaedalError

BUILTINS = ("digits", "scenes", "emoji-scenes")
_COUNTS = {1: "one", 2: "two", 3: "three", 4: "four"}


def read_builtin(name: str, size: int | None, seed: int) -> Iterator[Picture]:
    """The pictures of a built-in source.

    Args:
        name: `digits`, or `scenes` with its options.
        size: of scenes, in pixels (32 where not given); digits come as they are.
        seed: of scenes; another seed has others.

    Raises:
        DaedalError: no such source, option or size.
    """
    source = name.partition(":")[0]
    if source == "scenes":
        return _scenes(SceneOptions.parse_source(name), side_of(size), seed)
    if source != "digits":
        raise DaedalError(f"There is no built-in source {name!r}", f"Known are {', '.join(BUILTINS)}")
    if name != "digits":
        raise DaedalError(f"{name}: digits have no options", "Write digits")
    return _digits()


def side_of(size: int | None) -> int:
    """The side of drawn scenes, in pixels.

    Raises:
        DaedalError: they are not drawn at this size.
    """
    side = size or SMALLEST_SIDE
    if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
        raise DaedalError(
            f"Scenes are drawn at {SMALLEST_SIDE} to {LARGEST_SIDE} pixels, not {side}", "Ask for a size between"
        )
    return side


def _scenes(options: SceneOptions, side: int, seed: int) -> Iterator[Picture]:
    for number in range(options.first, options.first + options.count):
        made = scene(number, seed, options)
        yield Picture(
            origin=Origin(f"scenes/{number:06d}"),
            array=draw(made, side),
            label=_class_of(made, options),
            caption=caption(made, number, seed),
            truth=made.model_dump_json(),
        )


def caption(made: Scene, number: int, seed: int) -> str:
    """The caption that scene `number` of a seed comes with."""
    key = np.array([seed, 0xCA9], dtype=np.uint64)
    counter = np.array([0, 0, 0, number], dtype=np.uint64)
    return describe(made, phrasing(np.random.Generator(np.random.Philox(key=key, counter=counter))))


def _class_of(made: Scene, options: SceneOptions) -> str:
    return " ".join(made.things[0].pair) if options.objects == (1, 1) else _COUNTS[len(made.things)]


def _digits() -> Iterator[Picture]:
    from sklearn.datasets import load_digits

    shades, digits = load_digits(return_X_y=True)
    levels = np.rint(shades.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    for number, (array, digit) in enumerate(zip(levels, digits, strict=True)):
        yield Picture(Origin(f"digits/{number:04d}"), array=array, label=str(digit))

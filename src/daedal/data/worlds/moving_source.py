"""The built-in source `moving-scenes:N,...`: its scenes in parts that processes may share, and the clips of a part."""

from collections.abc import Iterator
from pathlib import Path

from daedal.data.columns import Signal
from daedal.data.document import Example
from daedal.data.sources import Item, Named, Role
from daedal.data.worlds.moving_captions import caption
from daedal.data.worlds.moving_scene_generator import moving_scene
from daedal.data.worlds.moving_scene_options import MOVING_SCENES, MovingSceneOptions
from daedal.data.worlds.moving_scenes import SECONDS, film
from daedal.data.worlds.scenes import LARGEST_SIDE, SMALLEST_SIDE
from daedal.errors import DaedalError

_PART = 500
_LABEL = f"{MOVING_SCENES}/"


def resolve_moving_scenes(source: str, role: Role, leave_out: Path | None) -> Named:
    """The source, cut into parts.

    Raises:
        DaedalError: it is misspelt.
    """
    options = MovingSceneOptions.parse_source(source)
    parts = range(options.first, options.first + options.count, _PART)
    items = tuple(Item(kind="pictures", label=f"{_LABEL}{first:09d}", path=source) for first in parts)
    return Named(source=source, role=role, items=items)


def is_moving(item: Item) -> bool:
    """Whether an item is a part of such a source."""
    return item.kind == "pictures" and item.label.startswith(_LABEL)


def read_moving_scenes(item: Item, side: int, frames: int, seed: int) -> Iterator[Example]:
    """The clips of a part.

    Raises:
        DaedalError: such scenes are not drawn at this size.
    """
    if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
        raise DaedalError(
            f"Moving scenes are drawn at {SMALLEST_SIDE} to {LARGEST_SIDE} pixels, not {side}", "Ask for a size between"
        )
    options = MovingSceneOptions.parse_source(item.path)
    first = int(item.label.removeprefix(_LABEL))
    for number in range(first, min(first + _PART, options.first + options.count)):
        made = moving_scene(number, seed, options)
        values = {
            "clip": Signal(film(made, side, frames), frames / SECONDS),
            "caption": caption(made, number, seed),
            "truth": made.model_dump_json(),
        }
        yield Example(f"{_LABEL}{number:09d}", -1, values)

"""The judge is right on every rendered scene, forgives noise, and is strict on what is no shape."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from daedal.data.worlds.scene_generator import scene
from daedal.data.worlds.scene_options import SceneOptions
from daedal.data.worlds.scenes import HELD_OUT_PAIRS, RGB, Ground, Scene, Thing, draw, relations
from daedal.data.worlds.shapes import SHAPES
from daedal.errors import DaedalError
from daedal.evaluation.worlds.judge import STRICT, Reading, read
from daedal.evaluation.worlds.validity import ALL_PAIRS, validity

EVERYTHING = SceneOptions()
SOURCES = (
    "scenes", "scenes:1,objects=1", "scenes:1,objects=4", "scenes:1,objects=2-3,about=relation",
    "scenes:1,objects=2,about=relation,relations=inside", "scenes:1,objects=2-4,about=relation,relations=touching",
    "scenes:1,objects=2-4,about=count", "scenes:1,ground=plain", "scenes:1,ground=textured,sizes=large,objects=1",
    "scenes:1,sizes=small,objects=2-4", "scenes:1,pairs=held-out", "scenes:1,relation-pairs=trained",
)  # fmt: skip


def right(reading: Reading, made: Scene, off: float) -> bool:
    """Whether all of a scene was read: each thing within `off` of its place, the relation, and the ground."""
    if not reading.valid or len(reading.things) != len(made.things) or reading.tint != made.ground.tint:
        return False
    seen: list[Thing] = []
    for thing in made.things:
        same = [other for other in reading.things if (other.pair, other.size) == (thing.pair, thing.size)]
        near = [other for other in same if np.hypot(other.x - thing.x, other.y - thing.y) < off]
        if len(near) != 1:
            return False
        seen += near
    return made.relation is None or made.relation in relations(seen[0], seen[1])


@pytest.mark.parametrize("source", SOURCES)
def test_every_rendered_scene_is_read_right(source: str) -> None:
    options = SceneOptions.parse_source(source)
    for number in range(50):
        made = scene(number, 11, options)
        side = (32, 32, 32, 48, 57, 64)[number % 6]
        reading = read(draw(made, side))
        assert right(reading, made, 0.6 / side), (number, side, made, reading)


def test_scenes_of_128_pixels_are_read_right() -> None:
    for number in range(40):
        made = scene(number, 12, EVERYTHING)
        assert right(read(draw(made, 128)), made, 0.6 / 128), (number, made)


def noisy(picture: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def as_jpeg(picture: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "jpeg", quality=90, subsampling=0)
    return np.asarray(Image.open(file))


def blurred(picture: np.ndarray) -> np.ndarray:
    return np.rint(ndimage.gaussian_filter(picture.astype(float), (0.5, 0.5, 0))).astype(np.uint8)


@pytest.mark.parametrize(("harm", "share"), [(noisy, 0.99), (as_jpeg, 0.99), (blurred, 0.98)])
def test_a_little_noise_compression_or_blur_changes_no_reading(harm: object, share: float) -> None:
    scenes = [scene(number, 13, EVERYTHING) for number in range(100)]
    read_right = [right(read(harm(draw(made, 32))), made, 1 / 32) for made in scenes]  # type: ignore[operator]
    assert np.mean(read_right) >= share


def single(shape: str = "square", size: str = "large", x: float = 0.5, colour: str = "red") -> Scene:
    return Scene(things=(Thing.parse({"shape": shape, "colour": colour, "size": size, "x": x, "y": 0.5}, "test"),))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_ragged_shape_is_no_shape(shape: str) -> None:
    picture = draw(single(shape), 32).copy()
    rows = np.arange(32)
    shift = np.rint(2.2 * np.sin(rows * 1.7)).astype(int)
    ragged = picture[rows[:, None], (rows[None, :] + shift[:, None]) % 32]
    assert read(picture).valid
    assert "no shape" in read(ragged).kinds


def test_an_ellipse_and_a_half_shape_are_no_shapes() -> None:
    y, x = np.mgrid[:64, :64]
    picture = np.full((64, 64, 3), 250, np.uint8)
    ellipse = picture.copy()
    ellipse[((x - 32) / 22) ** 2 + ((y - 32) / 11) ** 2 < 1] = RGB["blue"]
    assert read(ellipse).kinds == ("no shape",)
    half = draw(single("star"), 64).copy()
    half[:, 34:] = half[0, 0]
    assert "no shape" in read(half).kinds


def test_one_shape_partly_over_another_is_not_read() -> None:
    picture = draw(single("square", x=0.4), 32).copy()
    over = draw(single("circle", x=0.6, colour="blue"), 32)
    picture[:, 18:] = over[:, 18:]
    assert not read(picture).valid


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda picture: picture * 0, "no ground"),
        (lambda picture: np.clip(picture.astype(int) - (70, 40, 0), 0, 255).astype(np.uint8), "odd ground"),
        (lambda picture: put(picture, slice(1, 6), (120, 120, 30)), "strange colours"),
        (lambda picture: put(picture, slice(1, 4), RGB["green"]), "no shape"),
        (lambda picture: np.broadcast_to(picture[:1, :1], picture.shape).copy(), "number"),
    ],
)
def test_what_cannot_be_read_is_named(spoil: object, kind: str) -> None:
    reading = read(spoil(draw(single(x=0.6), 32)))  # type: ignore[operator]
    assert not reading.valid
    assert kind in reading.kinds


def put(picture: np.ndarray, where: slice, colour: tuple[int, int, int]) -> np.ndarray:
    """A bar in the corner."""
    changed = picture.copy()
    changed[where, 1:11] = colour
    return changed


def test_a_size_between_the_known_ones_is_nearest_and_one_beyond_them_is_odd() -> None:
    large = draw(single("circle"), 64)
    shrunk = np.asarray(Image.fromarray(large).resize((32, 32), Image.Resampling.BOX))
    padded = np.full((64, 64, 3), large[0, 0], np.uint8)
    padded[16:48, 16:48] = shrunk  # half of large is less than small
    reading = read(padded)
    assert reading.things[0].size == "small"
    assert read(large).things[0].size == "large"
    tiny = np.full((96, 96, 3), large[0, 0], np.uint8)
    tiny[32:64, 32:64] = shrunk
    assert read(tiny).kinds == ("odd size",)


def test_five_things_are_too_many() -> None:
    places = [(0.18, 0.18), (0.82, 0.18), (0.18, 0.82), (0.82, 0.82), (0.5, 0.5)]
    things = [Thing(shape="circle", colour="red", size="small", x=x, y=y) for x, y in places]
    picture = draw(Scene(things=tuple(things[:4]), ground=Ground(tint="mint")), 48).copy()
    fifth = draw(Scene(things=tuple(things[4:]), ground=Ground(tint="mint")), 48)
    picture[16:32, 16:32] = fifth[16:32, 16:32]
    assert read(picture).problems == (("number", "5 shapes"),)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((32, 32), np.uint8),
        np.zeros((32, 33, 3), np.uint8),
        np.zeros((16, 16, 3), np.uint8),
        np.zeros((200, 200, 3), np.uint8),
        np.zeros((32, 32, 3), np.float32),
    ],
)
def test_a_picture_that_is_no_square_of_bytes_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(DaedalError, match="judge reads"):
        read(picture)


def test_validity_counts_what_is_there() -> None:
    scenes = [scene(number, 14, SceneOptions.parse_source("scenes:1,pairs=trained")) for number in range(60)]
    pictures = [draw(made, 32) for made in scenes]
    black = [np.zeros((32, 32, 3), np.uint8)] * 20
    found = validity([*pictures, *black])
    assert (found.count, found.valid, found.share) == (80, 60, 0.75)
    assert found.problems == {"no ground": 20}
    assert found.pairs == Counter(thing.pair for made in scenes for thing in made.things)
    assert found.numbers == Counter(len(made.things) for made in scenes)
    assert found.strict == 1.0
    assert not HELD_OUT_PAIRS & found.pairs.keys()
    assert found.coverage(HELD_OUT_PAIRS) == 0
    assert found.coverage([pair for pair in ALL_PAIRS if pair not in HELD_OUT_PAIRS]) > 0.8


def test_divergence_is_none_for_equal_shares_and_all_for_one_mode() -> None:
    one_each = [draw(single(shape, colour=colour), 32) for colour, shape in ALL_PAIRS]
    assert validity(one_each).coverage() == 1
    assert validity(one_each).divergence() == pytest.approx(0)
    assert validity(one_each[:1] * 3).divergence() == pytest.approx(np.log(64))
    assert validity(one_each[:1] * 3).coverage() == 1 / 64
    assert STRICT == 0.85

"""Scenes of two drawings: what the caption says is where it stands, held-out pairs are kept apart, mistakes are one line."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daedal.api import build_data
from daedal.data.images import ImageDataset, ImageOptions, build
from daedal.data.worlds.emoji_scenes import CLEAR, EmojiScene, EmojiSceneOptions, is_held_out
from daedal.errors import DaedalError
from image_files import encoded, write_zip

COLOURS = {
    "astronaut": (200, 0, 0), "horse": (0, 160, 0), "red apple": (0, 0, 200), "owl": (200, 0, 200), "sun": (220, 200, 0),
    "tree": (0, 90, 90), "key": (90, 90, 0), "bat": (40, 40, 40),
}  # fmt: skip
ALL = (100.0, 0.0, 0.0)


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    folder = tmp_path / "some, drawings"
    folder.mkdir()
    for name, colour in COLOURS.items():
        pixels = np.zeros((20, 20, 4), np.uint8)
        pixels[2:18, 2:18] = (*colour, 255)
        Image.fromarray(pixels).save(folder / f"{name.replace(' ', '-')}.png")
    return folder


def built(source: str, out: Path, **options: object) -> ImageDataset:
    return build(source, out, ImageOptions.parse({"split": ALL, "near_duplicates": "off", **options}, "test"))


def centre(picture: np.ndarray, colour: tuple[int, int, int], side: int) -> tuple[float, float]:
    down, across = np.nonzero(np.abs(picture.astype(int) - colour).sum(2) < 30)
    assert len(down)
    return (across.mean() + 0.5) / side, (down.mean() + 0.5) / side


@pytest.mark.parametrize("side", [32, 48])
def test_the_picture_shows_what_caption_and_truth_say(drawings: Path, tmp_path: Path, side: int) -> None:
    split = built(f"emoji-scenes:60,from={drawings}", tmp_path / "out", size=side).split("train")
    seen = set()
    for picture, caption, truth in zip(split.images, split.captions, split.truths, strict=True):
        scene = EmojiScene.parse(json.loads(truth), "truth")
        one, other = scene.things
        assert caption == scene.caption
        for thing in scene.things:
            assert centre(picture, COLOURS[thing.name], side) == pytest.approx((thing.x, thing.y), abs=1 / side)
        right, down = other.x - one.x, other.y - one.y
        towards = {"above": down, "below": -down, "left of": right, "right of": -right}[scene.relation]
        across = abs(right) if scene.relation in ("above", "below") else abs(down)
        assert towards >= max(one.size, CLEAR * across) - 1e-9
        seen.add(scene.relation)
    assert seen == {"above", "below", "left of", "right of"}
    assert any(caption.startswith("an astronaut ") for caption in split.captions)
    assert any("to the left of a red apple" in caption for caption in split.captions)


def test_a_seed_has_its_scenes_and_ranges_share_none(drawings: Path, tmp_path: Path) -> None:
    def pictures(source: str, out: str, **options: object) -> list[bytes]:
        split = built(f"{source},from={drawings}", tmp_path / out, **options).split("train")
        return [np.asarray(picture).tobytes() for picture in split.images]

    whole = pictures("emoji-scenes:20", "a")
    assert pictures("emoji-scenes:20", "b") == whole
    assert pictures("emoji-scenes:10,first=10", "c") == whole[10:]
    assert not set(pictures("emoji-scenes:20", "d", seed=1)) & set(whole)


def test_held_out_pairs_are_kept_apart_in_either_order(drawings: Path, tmp_path: Path) -> None:
    held = {frozenset(pair) for pair in combinations(COLOURS, 2) if is_held_out(*pair)}
    assert held
    assert all(is_held_out(*pair[::-1]) for pair in map(sorted, held))
    for share in ("trained", "held-out"):
        truths = built(f"emoji-scenes:150,pairs={share},from={drawings}", tmp_path / share).split("train").truths
        pairs = {frozenset(thing["name"] for thing in json.loads(truth)["things"]) for truth in truths}
        assert (pairs == held) if share == "held-out" else not pairs & held


def test_an_archive_says_the_names_and_which_drawings_to_take(tmp_path: Path) -> None:
    members = {f"png/{n}.png": encoded(np.full((9, 12, 3), 20 * n, np.uint8)) for n in range(6)}
    rows = [f"{n}.png,thing {n},{n % 2}" for n in range(6)]
    members["captions.csv"] = "\n".join(["file,caption,tone", *rows]).encode()
    members["png/broken.png"] = b"no picture"
    archive = write_zip(tmp_path / "drawings.zip", members)
    source = f"emoji-scenes:40,where=tone=0,relations=above+left-of,from={archive}"
    dataset = build_data([source], tmp_path / "out", split=ALL, near_duplicates="off", workers=1)
    assert isinstance(dataset, ImageDataset)
    truths = [json.loads(truth) for truth in dataset.split("train").truths]
    assert {thing["name"] for truth in truths for thing in truth["things"]} == {"thing 0", "thing 2", "thing 4"}
    assert {truth["relation"] for truth in truths} == {"above", "left of"}
    few = built(f"emoji-scenes:40,drawings=2,from={archive}", tmp_path / "few")
    assert len({thing["name"] for truth in few.split("train").truths for thing in json.loads(truth)["things"]}) == 2
    assert [each.reason for each in few.manifest.dropped] == ["broken picture"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("emoji-scenes", "names no drawings"),
        ("emoji-scenes:20", "from=PATH"),
        ("emoji-scenes:20,from=gone", "does not exist"),
        ("emoji-scenes:20,colour=red,from={}", "no option 'colour'"),
        ("emoji-scenes:20,relations=beside,from={}", "relations"),
        ("emoji-scenes:0,from={}", "count"),
        ("emoji-scenes:20,pairs=held-out,drawings=2,from={}", "No pair of 2 objects is held-out"),
    ],
)
def test_a_mistake_is_one_line(drawings: Path, tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(DaedalError) as error:
        built(source.format(drawings), tmp_path / "out")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_one_drawing_is_too_few(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "in" / "a.png")
    with pytest.raises(DaedalError, match="1 drawings can be read, and a scene has two"):
        built(f"emoji-scenes:5,from={tmp_path / 'in'}", tmp_path / "out")


def test_the_path_stands_last_and_may_have_commas() -> None:
    options = EmojiSceneOptions.parse_source("emoji-scenes:5,where=a=b+c=d,from=a,b=c/d")
    assert (options.count, options.where, options.path) == (5, ("a=b", "c=d"), "a,b=c/d")

"""Pictures in, pictures out: the generator of images over a model that can do everything."""

import base64
import json
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from blots import Blots, generator
from daedal.codecs.image import PixelCodec
from daedal.codecs.sheet import pairs
from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.inference.picture import Picture, grid, save_each, save_grid
from daedal.models.image import ImageConfig
from daedal.serving.given import given_picture
from image_files import png_with

torch.set_num_threads(1)
ANIMALS = ("bird", "cat", "dog")
PLAIN, CLASSES = generator(), generator(ANIMALS)


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(picture.image)


def photo(width: int = 8, height: int = 8, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def same(one: list[Picture], other: list[Picture]) -> bool:
    return [pixels(a).tolist() for a in one] == [pixels(b).tolist() for b in other] and (
        [a.provenance for a in one] == [b.provenance for b in other]
    )


# -- new pictures ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 4))
def test_a_picture_of_a_seed_is_the_same_whatever_is_drawn_with_it(seed: int, first: int, n: int, more: int) -> None:
    alone = CLASSES.generate(n, seed=seed, first=first + more)
    assert same(CLASSES.generate(n + more, seed=seed, first=first)[more:], alone)


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CLASSES.generate(9, seed=3, label=["cat", "dog"])
    monkeypatch.setattr("daedal.inference.skills.pictures._BATCH", 2)
    told: list[tuple[int, int]] = []
    assert same(CLASSES.generate(9, seed=3, label=["cat", "dog"], progress=lambda *done: told.append(done)), whole)
    assert told == [(0, 9), (2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]


def test_a_picture_without_a_seed_can_be_drawn_again() -> None:
    (picture,) = PLAIN.generate()
    assert same(PLAIN.generate(seed=picture.provenance.seed), [picture])
    assert PLAIN.generate()[0].provenance.seed != picture.provenance.seed


def test_classes_go_by_name_or_number_and_several_are_taken_in_turn() -> None:
    assert same(CLASSES.generate(4, seed=1, label="dog"), CLASSES.generate(4, seed=1, label=2))
    assert same(CLASSES.generate(4, seed=1, label="2"), CLASSES.generate(4, seed=1, label=2))
    drawn = CLASSES.generate(5, seed=1, label=["cat", "bird"])
    assert [picture.provenance.label for picture in drawn] == ["cat", "bird", "cat", "bird", "cat"]
    assert same(CLASSES.generate(2, seed=1, first=1, label=["cat", "bird"]), drawn[1:3])
    anything = {picture.provenance.label for picture in CLASSES.generate(60, seed=1)}
    assert anything == set(ANIMALS)


def test_a_class_named_by_a_number_is_meant_by_its_name() -> None:
    digits = generator(("7", "1", "0"))
    assert digits.generate(seed=1, label="0")[0].provenance.label == "0"
    assert digits.generate(seed=1, label=0)[0].provenance.label == "7"


def test_a_picture_carries_where_it_comes_from(tmp_path: Path) -> None:
    picture = CLASSES.generate(2, seed=7, label="cat", temperature=0.5)[1]
    said = picture.provenance
    assert (said.model, said.seed, said.number, said.label, said.task) == ("blots", 7, 1, "cat", "generate")
    assert said.options.temperature == 0.5
    for name in ("a.png", "a.webp", "a.bmp", "a.tiff"):
        kept = Picture.open(picture.save(tmp_path / name))
        assert kept.provenance == said
        assert np.array_equal(pixels(kept), pixels(picture))
    assert Picture.open(picture.save(tmp_path / "a.JPG")).provenance == said
    assert not (tmp_path / "a.png.json").exists()


def test_the_fingerprint_is_of_the_weights() -> None:
    other = generator()
    assert other.fingerprint == PLAIN.fingerprint
    with torch.no_grad():
        other.model.gain += 1  # type: ignore[operator]
    assert generator().fingerprint != Generator(other.model, other.codec).fingerprint


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_pictures_have_the_mode_of_their_channels_and_show_themselves(channels: int, mode: str) -> None:
    (picture,) = generator(channels=channels).generate(seed=1)
    assert picture.image.mode == mode
    assert picture._repr_png_().startswith(b"\x89PNG")


# -- sheets ------------------------------------------------------------------------------------------------------------


def test_a_grid_holds_every_picture_in_its_place() -> None:
    drawn = PLAIN.generate(5, seed=2)
    sheet = np.asarray(grid(drawn, columns=2, scale=3, gap=4))
    assert sheet.shape == (3 * 24 + 2 * 4, 2 * 24 + 4, 3)
    for i, picture in enumerate(drawn):
        top, left = i // 2 * 28, i % 2 * 28
        assert np.array_equal(sheet[top : top + 24 : 3, left : left + 24 : 3], pixels(picture))
    assert (sheet[56:, 28:] == 255).all()


def test_tiny_pictures_are_made_visible_and_large_sheets_stay_small() -> None:
    assert grid([photo(32, 32)] * 4).width == 2 * 128 + 2
    assert grid([photo(200, 200)]).width == 200
    assert grid([photo(32, 32)] * 900).width <= 2048 + 30 * 2
    assert grid([photo(8, 8, "RGBA"), photo()]).mode == "RGBA"
    assert grid([photo(8, 8, "L")]).mode == "L"


def test_each_of_a_pair_stands_above_the_other_even_where_a_row_is_not_full() -> None:
    above, below = [photo(8, 8)] * 5, [photo(8, 8, "L")] * 5
    sheet = np.asarray(pairs(above, below, columns=3, scale=1, gap=0))
    assert sheet.shape == (4 * 8, 3 * 8, 3)
    for row, pictures in enumerate((above, below, above, below)):
        assert np.array_equal(sheet[8 * row : 8 * row + 8, 8:16], np.asarray(pictures[0].convert("RGB")))
    assert (sheet[16:, 16:] == 255).all()


def test_a_sheet_says_where_it_comes_from(tmp_path: Path) -> None:
    drawn = CLASSES.generate(3, seed=2, label=["cat", "dog"])
    save_grid(drawn, tmp_path / "grid.png")
    said = json.loads(Image.open(tmp_path / "grid.png").text["daedal"])  # type: ignore[attr-defined]
    assert (said["seed"], said["count"], said["labels"]) == (2, 3, ["cat", "dog", "cat"])
    save_grid(drawn[:1], tmp_path / "one.png")
    assert same([Picture.open(tmp_path / "one.png")], drawn[:1])


def test_a_folder_of_pictures_has_an_index(tmp_path: Path) -> None:
    drawn = CLASSES.generate(3, seed=2, first=9, label="cat")
    paths = save_each(drawn, tmp_path / "out")
    assert [path.name for path in paths] == ["00009-cat.png", "00010-cat.png", "00011-cat.png"]
    lines = [json.loads(line) for line in (tmp_path / "out" / "index.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == [path.name for path in paths]
    assert [line["number"] for line in lines] == [9, 10, 11]
    assert same([Picture.open(path) for path in paths], drawn)


def test_a_class_cannot_name_a_file_elsewhere(tmp_path: Path) -> None:
    drawn = generator(("../../up", "b")).generate(1, seed=2, label=0)
    assert save_each(drawn, tmp_path / "out")[0].parent == tmp_path / "out"


# -- morphs ------------------------------------------------------------------------------------------------------------


def test_a_morph_begins_and_ends_with_the_pictures_of_its_seeds() -> None:
    clip = CLASSES.interpolate([4, 5, 6], 9, temperature=0.5)
    label = CLASSES.generate(seed=4)[0].provenance.label
    for frame, seed in ((0, 4), (4, 5), (8, 6)):
        (picture,) = CLASSES.generate(seed=seed, label=label, temperature=0.5)
        assert np.array_equal(np.asarray(clip.frames[frame]), pixels(picture))
    assert clip.provenance is not None
    assert (clip.provenance.points, clip.provenance.label) == ((4, 5, 6), label)


def test_a_morph_between_pictures_begins_and_ends_with_what_the_model_makes_of_them(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.png")
    other = PLAIN.generate(seed=9)[0]
    clip = PLAIN.interpolate([tmp_path / "a.png", other], 5)
    ends = PLAIN.reconstruct([tmp_path / "a.png", other])
    for frame, back in zip((clip.frames[0], clip.frames[-1]), ends, strict=True):
        assert np.abs(np.asarray(frame).astype(int) - pixels(back.picture)).max() <= 1


def test_a_loop_ends_before_it_begins_again() -> None:
    clip = PLAIN.interpolate([1, 2], 8, loop=True)
    frames = [np.asarray(frame).tolist() for frame in clip.frames]
    assert frames[0] == np.asarray(PLAIN.generate(seed=1)[0].image).tolist()
    assert frames[4] == np.asarray(PLAIN.generate(seed=2)[0].image).tolist()
    assert frames[1] == frames[7]
    assert frames[0] != frames[7]


def test_a_walk_leads_through_its_point_along_what_pictures_differ_in() -> None:
    drawn = PLAIN.generate(6, seed=1, temperature=0.5)
    directions = PLAIN.directions(drawn, most=3)
    assert directions.shape == (3, 3, 8, 8)
    lengths = directions.flatten(1).norm(dim=1)
    assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)
    clip = PLAIN.walk(5, directions[0], 5, reach=1)
    assert np.array_equal(np.asarray(clip.frames[2]), pixels(PLAIN.generate(seed=5)[0]))
    assert len({frame.tobytes() for frame in clip.frames}) == 5
    bright, dark = ([Image.new("RGB", (8, 8), (shade,) * 3)] * 2 for shade in (200, 50))
    along = PLAIN.walk(dark[0], PLAIN.attribute(bright, dark), 3, reach=1)
    assert np.asarray(along.frames[2]).mean() == pytest.approx(200, abs=2)
    with pytest.raises(DaedalError, match="shape"):
        PLAIN.walk(5, directions[0, 0])
    with pytest.raises(DaedalError, match="Directions"):
        PLAIN.directions(drawn[:1])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.mp4", "a.png"])
def test_a_clip_saves_as_what_its_name_says(name: str, channels: int, tmp_path: Path) -> None:
    clip = generator(channels=channels, width=9).interpolate([1, 2], 6, fps=10)
    path = clip.save(tmp_path / name)
    if name == "a.mp4":
        av = pytest.importorskip("av")
        with av.open(str(path)) as video:
            shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
            assert float(video.streams.video[0].average_rate) == 10
        assert len(shown) == 6
        scale = shown[0].shape[0] // 8
        middle = shown[0][scale // 2 :: scale, scale // 2 :: scale][:, :9]
        if channels < 4:
            frame = np.asarray(clip.frames[0].convert("RGB")).astype(int)
            assert np.abs(middle - frame).mean() < 24  # its colours are halved in each direction
    elif name == "a.png":
        assert json.loads(Image.open(path).text["daedal"])["points"] == [1, 2]  # type: ignore[attr-defined]
        assert Image.open(path).width > 6 * 9
    else:
        with Image.open(path) as moving:
            assert moving.n_frames == 6  # type: ignore[attr-defined]
            moving.load()
            assert moving.info["duration"] == 100
            assert max(moving.size) > 200
    if name != "a.png":
        assert json.loads((tmp_path / f"{name}.json").read_text())["frames"] == 6
    assert clip._repr_html_().startswith('<img src="data:image/webp')


# -- given pictures ----------------------------------------------------------------------------------------------------


def test_an_edit_keeps_what_the_mask_keeps_and_draws_the_rest_anew() -> None:
    mask = Image.new("L", (8, 8))
    mask.paste(255, (0, 0, 4, 8))
    drawn = PLAIN.edit(photo(), mask, 3, seed=1)
    original = np.asarray(photo())
    for picture in drawn:
        assert np.array_equal(pixels(picture)[:, 4:], original[:, 4:])
        assert not np.array_equal(pixels(picture)[:, :4], original[:, :4])
    assert len({pixels(picture).tobytes() for picture in drawn}) == 3
    assert same(PLAIN.edit(photo(), mask, 1, seed=1, first=2), drawn[2:])
    assert drawn[0].provenance.task == "edit"
    assert drawn[0].provenance.source


def test_the_weaker_an_edit_the_more_is_left() -> None:
    original = np.asarray(photo()).astype(int)
    off = [
        np.abs(np.asarray(PLAIN.edit(photo(), seed=1, strength=strength)[0].image) - original).mean()
        for strength in (0.1, 0.5, 0.9)
    ]
    assert off == sorted(off)
    mask = Image.new("L", (8, 8), 255)
    assert same(PLAIN.edit(photo(), mask, seed=1, strength=0.5), PLAIN.edit(photo(), seed=1, strength=0.5))
    with pytest.raises(DaedalError, match="nothing would be left of the picture"):
        PLAIN.edit(photo(), mask, seed=1)


def test_clear_pixels_of_a_mask_are_drawn_anew() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    clear.paste((0, 0, 0, 0), (0, 0, 4, 8))
    white = Image.new("1", (8, 8))
    white.paste(1, (0, 0, 4, 8))
    assert same(PLAIN.edit(photo(), clear, seed=1), PLAIN.edit(photo(), white, seed=1))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA", "I;16", "I", "F", "CMYK"])
def test_white_in_a_mask_of_any_mode_is_drawn_anew(mode: str) -> None:
    white = Image.new("L", (8, 8))
    white.paste(255, (0, 0, 4, 8))
    values = np.asarray(white)
    deep = {"I;16": values.astype(np.uint16) * 257, "I": values.astype(np.int32), "F": values.astype(np.float32)}
    other = Image.fromarray(deep[mode]) if mode in deep else white.convert("RGB" if mode == "CMYK" else mode)
    mask = other.convert(mode) if mode == "CMYK" else other
    assert mask.mode == mode
    assert same(PLAIN.edit(photo(), mask, seed=1), PLAIN.edit(photo(), white, seed=1))


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_white_on_a_transparent_layer_is_refused_for_it_says_everything(strength: float) -> None:
    white = Image.new("L", (8, 8))
    white.paste(255, (0, 0, 4, 8))
    layer = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    layer.putalpha(white)
    palette = white.convert("P")
    palette.info["transparency"] = 0
    for mask in (layer, layer.convert("LA"), palette):
        with pytest.raises(DaedalError, match="white on a transparent layer"):
            PLAIN.edit(photo(), mask, seed=1, strength=strength)


def test_a_mask_is_cut_as_its_picture_is() -> None:
    mask = Image.new("L", (32, 16))
    mask.paste(255, (0, 0, 16, 16))  # of which the middle 16 by 16 are seen
    (picture,) = PLAIN.edit(photo(32, 16), mask, seed=1)
    seen = PLAIN.fit(photo(32, 16)).pixels
    assert np.array_equal(pixels(picture)[:, 4:], seen[:, 4:])
    assert not np.array_equal(pixels(picture)[:, :4], seen[:, :4])
    small = Image.new("L", (8, 8))
    small.paste(255, (0, 0, 4, 8))
    assert np.array_equal(pixels(PLAIN.edit(photo(32, 16), small, seed=1)[0]), pixels(picture))


def test_a_reconstruction_tells_its_error(tmp_path: Path) -> None:
    (back,) = PLAIN.reconstruct([photo()])
    error = (np.asarray(photo()).astype(float) - pixels(back.picture)) / 255
    assert back.mse == pytest.approx(float((error**2).mean()))
    assert back.psnr == (math.inf if back.mse == 0 else pytest.approx(-10 * math.log10(back.mse)))
    back.save(tmp_path / "pair.png")
    assert Image.open(tmp_path / "pair.png").width > 2 * 8
    exact = PLAIN.reconstruct([back.picture])[0]
    assert exact.psnr >= 40
    json.dumps(exact.record(), allow_nan=False)


def test_a_score_is_in_nats_and_bits() -> None:
    drawn = PLAIN.generate(2, seed=1)
    scores = PLAIN.score(drawn)
    for picture, score in zip(drawn, scores, strict=True):
        assert PLAIN.score([picture]) == [score]
        assert score.bits_per_dimension == pytest.approx(-score.log_likelihood / math.log(2) / 192)


def test_a_picture_of_another_size_or_mode_is_fitted_and_told() -> None:
    assert PLAIN.fit(photo()).note == ""
    assert PLAIN.fit(photo(20, 10)).note == "the picture: 20x10 pixels become 8x8 (crop)"
    assert PLAIN.fit(photo(16, 16, "L")).note == "the picture: 16x16 pixels become 8x8, L becomes RGB"
    fitted = PLAIN.fit(photo(20, 10))
    assert PLAIN.fit(fitted) is fitted
    assert np.array_equal(fitted.pixels, PLAIN.codec.lay(photo(20, 10)))


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "at least one"),
        ({"first": -1}, "at least one"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**64}, "seed"),
        ({"label": "cta"}, "classes are bird, cat, dog. Did you mean cat?"),
        ({"label": "3"}, "no class 3"),
        ({"label": -1}, "no class -1"),
        ({"label": []}, "No class"),
        ({"guidance": 2.0}, "A Blots does not take guidance: it takes steps and temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"tempo": 1}, "tempo"),
    ],
)
def test_a_mistake_in_what_is_asked_is_one_line(options: dict[str, object], said: str) -> None:
    with pytest.raises(DaedalError) as error:
        CLASSES.generate(**options)  # type: ignore[arg-type]
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_model_without_classes_says_so() -> None:
    assert PLAIN.capabilities == Blots.capabilities - {"class"}
    with pytest.raises(DaedalError, match="trained without classes"):
        PLAIN.generate(label="cat")


def test_what_a_family_cannot_do_is_refused_with_what_it_can() -> None:
    class Drawer(Blots):
        capabilities = frozenset({"sample", "score"})

    drawer = generator(model=Drawer)
    with pytest.raises(DaedalError, match="A Drawer cannot edit: it can draw new pictures and score"):
        drawer.edit(photo(), photo())
    for refused in (
        lambda: drawer.interpolate([1, 2]),
        lambda: drawer.reconstruct([photo()]),
        lambda: drawer.generate(label=1),
    ):
        with pytest.raises(DaedalError, match="A Drawer cannot"):
            refused()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: PLAIN.interpolate([1], 5),
        lambda: PLAIN.interpolate([1, 2], 1),
        lambda: PLAIN.interpolate([1, -2], 5),
        lambda: PLAIN.interpolate([1, 2], 5, fps=0),
        lambda: PLAIN.reconstruct([]),
        lambda: PLAIN.edit(photo(), Image.new("L", (8, 8))),
        lambda: PLAIN.edit(photo()),
        lambda: PLAIN.edit(photo(), strength=0),
        lambda: PLAIN.edit(photo(), strength=1.5),
        lambda: PLAIN.edit(photo(), Image.new("L", (9, 8), 255)),
        lambda: PLAIN.reconstruct([np.zeros((8, 8, 3))]),
        lambda: grid([]),
        lambda: grid([photo()], columns=0),
        lambda: PLAIN.generate()[0].save("picture.docx"),
        lambda: PLAIN.interpolate([1, 2], 2).save("clip.docx"),
    ],
)
def test_other_mistakes_are_one_line(ask) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DaedalError) as error:
        ask()
    assert "\n" not in str(error.value)


def bad_pictures(folder: Path) -> dict[str, Path]:
    """Files that are no good picture, by what is wrong with them."""
    photo(64, 64).save(folder / "whole.png")
    whole = (folder / "whole.png").read_bytes()
    files = {
        "missing": None,
        "empty": b"",
        "not a picture": b"This is a text, and no picture at all.",
        "damaged": whole[: len(whole) // 2],
        "too large": None,
    }
    for name, content in files.items():
        if content is not None:
            (folder / f"{name}.png").write_bytes(content)
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + whole[24:29]
    large = whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]
    (folder / "too large.png").write_bytes(large)
    return {name: folder / f"{name}.png" for name in files}


def test_a_bad_picture_is_refused_by_name(tmp_path: Path) -> None:
    for what, path in bad_pictures(tmp_path).items():
        with pytest.raises(DaedalError, match=what) as error:
            PLAIN.fit(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        with pytest.raises(DaedalError):
            Picture.open(path)
    with pytest.raises(DaedalError, match="folder"):
        PLAIN.fit(tmp_path)
    with pytest.raises(DaedalError, match="does not say"):
        Picture.open(tmp_path / "whole.png")


def test_a_long_text_in_a_png_is_no_reason_to_refuse_it() -> None:
    data = png_with((b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 3_000_000)))
    assert PLAIN.fit(data).size == (12, 12)
    given_picture(base64.b64encode(data).decode(), "image")


def test_of_an_animation_the_first_frame_is_taken_and_told(tmp_path: Path) -> None:
    frames = [photo(), Image.new("RGB", (8, 8))]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    fitted = PLAIN.fit(tmp_path / "moving.webp")
    assert np.array_equal(fitted.pixels, np.asarray(photo()))
    assert "the first of 2 frames is taken" in fitted.note


def test_mp4_without_its_library_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DaedalError, match=r"PyAV.*daedal\[video\]"):
        PLAIN.interpolate([1, 2], 2).save(tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_codec_that_is_not_the_models_is_refused() -> None:
    model = Blots(ImageConfig(channels=3, height=8, width=8, classes=2))
    with pytest.raises(DaedalError, match="codec"):
        Generator(model, PixelCodec(1, 8, 8))
    with pytest.raises(DaedalError, match="classes"):
        Generator(model, PixelCodec(3, 8, 8), classes=ANIMALS)
    assert Generator(model, PixelCodec(3, 8, 8)).classes == ("0", "1")


def test_a_picture_without_pixels_shows_nothing() -> None:
    for nothing in (Image.new("L", (0, 5)), np.zeros((0, 4, 1), np.uint8)):
        with pytest.raises(DaedalError, match=r"shows nothing|is no picture"):
            PLAIN.fit(nothing)


def test_a_pipe_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DaedalError, match="no regular file"):
        PLAIN.fit(tmp_path / "a.png")

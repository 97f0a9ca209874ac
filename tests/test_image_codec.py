"""Pixels come back exactly; pictures of any mode and size are brought to one grid by the stated rule."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from daedal.codecs.image import PixelCodec
from daedal.codecs.raster import Raster, to_channels, upright
from daedal.errors import DaedalError

MODES = (
    "1",
    "L",
    "LA",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBX",
    "CMYK",
    "YCbCr",
    "HSV",
    "LAB",
    "I",
    "I;16",
    "F",
    "La",
    "RGBa",
)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_every_byte_comes_back(channels: int, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (3, height, width, channels), dtype=np.uint8)
    codec = PixelCodec(channels, height, width)
    codes = codec.encode_batch(pixels)
    assert codes.shape == (3, channels, height, width)
    assert codes.min() >= -1
    assert codes.max() <= 1
    assert (codec.decode_batch(codes) == pixels).all()
    picture = codec.decode(codec.encode(pixels[0]))
    if channels in (2, 4):
        pixels[0][pixels[0][:, :, -1] == 0] = 0  # the colour of what is transparent does not
    assert (codec.lay(picture) == pixels[0]).all()


def test_the_ends_of_the_scale_are_black_and_white() -> None:
    codec = PixelCodec(1, 1, 2)
    assert codec.encode(np.array([[[0], [255]]], dtype=np.uint8)).flatten().tolist() == [-1, 1]
    beyond = torch.tensor([[[-7.0, float("nan")]]])
    assert codec.decode_batch(beyond[None]).flatten().tolist() == [0, 0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_of_every_mode_are_laid_on_the_grid(mode: str, channels: int) -> None:
    picture = Image.new(mode, (9, 7))
    laid = PixelCodec(channels, 5, 5).lay(picture)
    assert laid.shape == (5, 5, channels)
    assert laid.dtype == np.uint8


def test_sixteen_bits_become_eight_and_floats_are_taken_from_0_to_1() -> None:
    deep = Image.fromarray(np.array([[0, 257, 65535]], dtype=np.uint16))
    assert np.asarray(to_channels(deep, 1, "white")).tolist() == [[0, 1, 255]]
    floats = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert np.asarray(to_channels(floats, 1, "white")).tolist() == [[0, 128, 255]]


def test_a_grey_value_of_sixteen_bits_can_be_transparent() -> None:
    deep = Image.fromarray(np.array([[0, 257, 65535]], dtype=np.uint16))
    deep.info["transparency"] = 257
    assert np.asarray(to_channels(deep, 1, "white")).tolist() == [[0, 255, 255]]
    assert np.asarray(to_channels(deep, 4, "white"))[0, :, 3].tolist() == [255, 0, 255]


def test_what_is_transparent_shows_the_background() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (PixelCodec(3, 4, 4).lay(clear) == 255).all()
    assert PixelCodec(3, 4, 4, background="black").lay(clear).max() == 0
    assert (PixelCodec(4, 4, 4).lay(clear) == 0).all()  # a colour that nobody sees is none


def test_a_picture_of_the_size_is_not_resampled() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    assert (PixelCodec(3, 6, 6).lay(Image.fromarray(pixels)) == pixels).all()


def test_each_fit_does_with_another_aspect_what_it_says() -> None:
    halves = np.zeros((20, 40, 3), dtype=np.uint8)
    halves[:, 10:30] = 255  # the middle square is white
    picture = Image.fromarray(halves)
    assert (PixelCodec(3, 20, 20).lay(picture) == 255).all()
    padded = PixelCodec(3, 40, 40, fit="pad", background="red").lay(picture)
    assert (padded[:10] == (255, 0, 0)).all()
    assert (padded[10:30] == halves).all()
    stretched = PixelCodec(3, 20, 20, fit="stretch").lay(picture)
    assert stretched[:, 2].max() < 16
    assert stretched[:, 10].min() > 240


def test_a_finer_pattern_than_the_grid_becomes_its_mean() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    laid = PixelCodec(1, 8, 8).lay(Image.fromarray(board.astype(np.uint8)))
    assert np.abs(laid.astype(int) - 127).max() <= 8


def test_cameras_that_were_turned_are_believed() -> None:
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise to see it upright
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    turned = upright(Image.open(buffer))
    assert turned.size == (4, 8)
    assert np.asarray(turned)[:4].min() == 255


def test_a_codec_is_saved_and_loaded(tmp_path: Path) -> None:
    codec = PixelCodec(3, 20, 30, fit="pad", background="#102030")
    codec.save(tmp_path)
    assert PixelCodec.load(tmp_path) == codec
    assert PixelCodec.load(tmp_path).fingerprint() == codec.fingerprint()
    assert PixelCodec(3, 20, 30).fingerprint() != codec.fingerprint()


@pytest.mark.parametrize("text", ["", "[]", '{"channels": 9, "height": 1, "width": 1}', '{"channels": 3}'])
def test_a_damaged_codec_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "image_codec.json").write_text(text)
    with pytest.raises(DaedalError):
        PixelCodec.load(tmp_path)


def test_an_array_of_another_shape_is_refused() -> None:
    with pytest.raises(DaedalError, match="no picture of this codec"):
        PixelCodec(3, 4, 4).encode(np.zeros((4, 5, 3), dtype=np.uint8))


def test_a_background_is_a_colour() -> None:
    assert Raster(channels=3, height=4, width=4, background="white").background == "#ffffff"
    with pytest.raises(ValueError, match="not a colour"):
        Raster(channels=3, height=4, width=4, background="whitish")

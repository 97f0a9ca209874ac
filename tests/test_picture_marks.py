"""Watermarks of pictures: what is unmarked is not found, what is marked is found after what usually happens to pictures."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter
from scipy.stats import kstest

from daedal.safety.directions import direction, tail
from daedal.safety.payload_code import BITS, payload_of, symbols_of
from daedal.safety.periodic_mark import find
from daedal.safety.picture_mark import find_picture_mark, mark_picture
from daedal.safety.picture_tiles import COARSE, folded, seen, views, whitened
from daedal.safety.watermark_keys import WatermarkKey

KEY, OTHER = WatermarkKey(bytes(range(32))), WatermarkKey(bytes(32))
PAYLOAD = 0xC0FFEE42


def _picture(width: int = 384, height: int = 320, seed: int = 0, mode: str = "RGB") -> Image.Image:
    """A made picture with what photographs have: power that falls with the square of the frequency, edges, and flat parts."""
    generator = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij"))
    spectrum = np.fft.rfft2(generator.standard_normal((3, height, width))) / np.maximum(frequency, 1 / width) ** 1.2
    shades = np.fft.irfft2(spectrum, (height, width))
    shades = 0.8 * shades[:1] + 0.2 * shades
    values = 128 + 45 * shades / shades.std()
    down, across = np.mgrid[:height, :width]
    values[:, (down - height / 2) ** 2 + (across - width / 3) ** 2 < (height / 5) ** 2] += 50
    values[:, : height // 8] = 200
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8).transpose(1, 2, 0)).convert(mode)


def _decibels(one: Image.Image, other: Image.Image) -> float:
    difference = np.asarray(one, dtype=float) - np.asarray(other, dtype=float)
    return float(10 * np.log10(255**2 / np.mean(np.square(difference))))


def _found(image: Image.Image) -> tuple[float, int | None]:
    finding = find_picture_mark(image, [OTHER, KEY])
    assert finding is not None
    assert finding.p_value is not None
    return finding.p_value if finding.key == KEY.id else 1.0, finding.payload


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def _noisy(image: Image.Image) -> Image.Image:
    values = np.asarray(image) + np.random.default_rng(1).normal(0, 10, (image.height, image.width, 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


ATTACKS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "none": lambda image: image,
    "jpeg 90": lambda image: _jpeg(image, 90),
    "jpeg 50": lambda image: _jpeg(image, 50),
    "half": lambda image: _scaled(image, 0.5),
    "odd size": lambda image: _scaled(image, 0.83),
    "twice": lambda image: _scaled(image, 2),
    "cropped": lambda image: image.crop((37, 21, 37 + image.width * 7 // 10, 21 + image.height * 7 // 10)),
    "noise": _noisy,
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "screenshot": lambda image: _jpeg(ImageEnhance.Brightness(_scaled(image, 0.8)).enhance(1.1), 75),
}


@pytest.fixture(scope="module")
def marked() -> Image.Image:
    made = mark_picture(_picture(512, 448), KEY, PAYLOAD)
    assert made is not None
    return made


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_mark_and_its_payload_outlive(attack: str, marked: Image.Image) -> None:
    p_value, payload = _found(ATTACKS[attack](marked))
    assert p_value < 1e-6
    assert payload == PAYLOAD


def test_a_mark_is_below_what_is_seen(marked: Image.Image) -> None:
    assert _decibels(marked, _picture(512, 448)) > 40
    for side in (32, 64, 96, 200):
        small = mark_picture(_picture(side, side), KEY, PAYLOAD)
        assert small is not None
        assert _decibels(small, _picture(side, side)) > 38


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_mode_size_and_transparency_stay(mode: str) -> None:
    image = _picture(201, 163).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(np.tile(np.linspace(60, 255, 201).astype(np.uint8), (163, 1))))
    made = mark_picture(image, KEY, PAYLOAD)
    assert made is not None
    assert (made.mode, made.size) == (image.mode, image.size)
    if mode in ("LA", "RGBA"):
        assert made.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    if mode == "L":
        assert len(made.getbands()) == 1
    assert _found(made) == (pytest.approx(0, abs=1e-5), PAYLOAD)


def test_a_large_picture_is_marked_at_the_size_at_which_it_is_looked_at() -> None:
    made = mark_picture(_picture(1500, 1100), KEY, PAYLOAD)
    assert made is not None
    for shown in (made, _scaled(made, 0.4)):
        assert _found(shown)[1] == PAYLOAD


def test_an_enlarged_small_picture_is_found() -> None:
    made = mark_picture(_picture(64, 64), KEY, PAYLOAD)
    assert made is not None
    assert _found(made.resize((256, 256), Image.Resampling.NEAREST))[1] == PAYLOAD


def test_what_has_no_room_is_not_marked() -> None:
    assert mark_picture(_picture(31, 200), KEY, PAYLOAD) is None
    assert mark_picture(Image.new("1", (256, 256)), KEY, PAYLOAD) is None
    assert mark_picture(Image.new("I;16", (256, 256)), KEY, PAYLOAD) is None
    generator = np.random.default_rng(0)
    assert mark_picture(Image.fromarray(generator.integers(0, 256, (40, 40), dtype=np.uint8)), KEY, PAYLOAD) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (17, 16), (5000, 3), (200, 33)])
def test_any_size_can_be_looked_at(size: tuple[int, int]) -> None:
    finding = find_picture_mark(Image.new("RGB", size, "red"), [KEY])
    assert finding is not None
    assert finding.payload is None
    assert finding.p_value is None or finding.p_value > 1e-3
    assert (finding.note is not None) == (finding.p_value is None)


def test_without_keys_nothing_is_looked_for() -> None:
    assert find_picture_mark(_picture(64, 64), []) is None


def test_p_values_of_what_is_unmarked_are_uniform_for_one_place() -> None:
    """Over keys, for one picture that is not random at all: what is exact must hold for each."""
    stripes = Image.fromarray((np.indices((160, 160)).sum(0) % 7 * 36).astype(np.uint8)).convert("RGB")
    (_, view), *_ = seen(whitened([[np.asarray(stripes.convert("L"), dtype=np.float32)]]), 160)
    drawn = []
    for number in range(2000):
        pilot = direction(number.to_bytes(32, "big"), "pattern 0", view.size)
        correlation = np.vdot(pilot, view).real / (np.linalg.norm(pilot) * np.linalg.norm(view))
        drawn.append(float(tail(correlation, 2 * view.size)))
    assert kstest(drawn, "uniform").pvalue > 0.001


def test_unmarked_pictures_are_not_found() -> None:
    """P-values over every scale and place that is tried are no smaller than they say, of flat and periodic pictures too."""
    shown = [_picture(96 + 8 * seed, 96, seed) for seed in range(6)]
    shown += [
        Image.new("RGB", (128, 128), "white"),
        Image.fromarray(np.indices((128, 96)).sum(0).astype(np.uint8) % 64 * 4),
    ]
    values = []
    for image in shown:
        looked = views([np.asarray(image.convert("RGB"))])
        values += [find(looked, [WatermarkKey(number.to_bytes(32, "big"))]).p_value or 1.0 for number in range(1, 40)]
    for level in (0.3, 0.1, 0.02):
        assert np.mean(np.array(values) <= level) <= level + 3 * (level / len(values)) ** 0.5


def test_two_keys_on_one_picture_are_both_found(marked: Image.Image) -> None:
    twice = mark_picture(marked, OTHER, 7)
    assert twice is not None
    for key, payload in ((KEY, PAYLOAD), (OTHER, 7)):
        finding = find_picture_mark(twice, [key])
        assert finding is not None
        assert finding.payload == payload


def test_what_is_found_says_nothing_of_the_key(marked: Image.Image) -> None:
    finding = find_picture_mark(marked, [KEY])
    assert finding is not None
    assert KEY.secret.hex() not in finding.model_dump_json()
    assert finding.scheme == COARSE.scheme


def test_a_tile_is_the_sum_of_all() -> None:
    plane = np.random.default_rng(0).standard_normal((130, 70))
    tile = folded(plane)
    assert tile[5, 3] == pytest.approx(plane[5, 3] + plane[69, 3] + plane[5, 67] + plane[69, 67])
    assert tile.sum() == pytest.approx(plane.sum())


@given(st.integers(0, 2**BITS - 1), st.sampled_from([9, 12]))
def test_a_payload_comes_back_and_one_wrong_symbol_is_mostly_noticed(payload: int, bits: int) -> None:
    symbols = symbols_of(payload, bits)
    assert payload_of(symbols, bits) == payload
    assert payload_of([*symbols[:-1], symbols[-1] ^ 1], bits) is None


def test_a_payload_has_32_bits() -> None:
    for wrong in (-1, 2**BITS):
        with pytest.raises(ValueError, match="32 bits"):
            symbols_of(wrong, 9)


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.99, 0.99), st.integers(3, 4000))
def test_the_tail_is_that_of_a_direction(correlation: float, dimensions: int) -> None:
    """A correlation r in n dimensions is a t of n - 1 degrees of freedom: r sqrt((n - 1) / (1 - r^2))."""
    from scipy.stats import t

    expected = t.sf(correlation * np.sqrt((dimensions - 1) / (1 - correlation**2)), dimensions - 1)
    assert float(tail(correlation, dimensions)) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_a_direction_is_the_same_everywhere() -> None:
    drawn = direction(b"key", "pilot", 3)
    assert drawn.tolist() == pytest.approx(direction(b"key", "pilot", 9)[:3].tolist())
    assert float(np.mean(np.square(np.abs(direction(b"key", "", 20_000))))) == pytest.approx(2, rel=0.03)

"""Watermarks of sounds and clips, and the ring in a flow's noise."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image, ImageSequence

from daedal.codecs.sound import resample, sound_file
from daedal.inference.clip import Clip
from daedal.nn.noise import Noise
from daedal.safety.clip_mark import find_clip_mark, mark_clip
from daedal.safety.noise_ring import RingedNoise, find_noise_ring
from daedal.safety.picture_mark import find_picture_mark
from daedal.safety.sound_mark import find_sound_mark, mark_sound
from daedal.safety.watermark_keys import WatermarkKey

KEY, OTHER = WatermarkKey(bytes(range(32))), WatermarkKey(bytes(32))
PAYLOAD = 0xC0FFEE42
RATE = 16_000
Array = np.ndarray


def _sound(seconds: float = 6, rate: int = RATE, seed: int = 0) -> Array:
    """What is like speech: noise through resonances, and a voice, in syllables with pauses."""
    generator = np.random.default_rng(seed)
    count = int(seconds * rate)
    time = np.arange(count) / rate
    voice = sum(np.sin(2 * np.pi * 140 * h * time + 3 * np.sin(2 * np.pi * 3 * time)) / h for h in range(1, 40))
    noise = np.convolve(generator.standard_normal(count), np.exp(-np.arange(64) / 8), "same")
    loud = np.clip(np.sin(2 * np.pi * 1.7 * time + seed), 0, 1)
    sound = (voice + 0.3 * noise) * loud
    return (0.4 * sound / np.abs(sound).max()).astype(np.float32)


def _found(samples: Array, rate: int = RATE) -> tuple[float, int | None]:
    finding = find_sound_mark(samples, rate, [OTHER, KEY])
    assert finding is not None
    assert finding.p_value is not None
    return finding.p_value, finding.payload


def _through(samples: Array, form: str, rate: int = RATE) -> Array:
    return soundfile.read(io.BytesIO(sound_file(samples, rate, form)), dtype="float32")[0]


def _noisy(samples: Array) -> Array:
    noise = np.random.default_rng(2).standard_normal(len(samples)) * samples.std() * 0.1
    return samples + noise.astype(np.float32)


ATTACKS: dict[str, Callable[[Array], tuple[Array, int]]] = {
    "16 bits": lambda samples: (_through(samples, ".wav"), RATE),
    "mp3": lambda samples: (_through(samples, ".mp3"), RATE),
    "vorbis": lambda samples: (_through(samples, ".ogg"), RATE),
    "half the rate": lambda samples: (resample(samples, RATE, 8000), 8000),
    "another rate": lambda samples: (resample(samples, RATE, 44_100), 44_100),
    "cut": lambda samples: (samples[12_345:], RATE),
    "noise": lambda samples: (_noisy(samples), RATE),
    "quieter": lambda samples: (samples * 0.1, RATE),
}


@pytest.fixture(scope="module")
def marked() -> Array:
    made = mark_sound(_sound(), RATE, KEY, PAYLOAD)
    assert made is not None
    return made


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_mark_and_its_payload_outlive(attack: str, marked: Array) -> None:
    p_value, payload = _found(*ATTACKS[attack](marked))
    assert p_value < 1e-6
    assert payload == PAYLOAD


def test_a_mark_is_far_below_the_sound_and_silence_stays_silent(marked: Array) -> None:
    difference = marked - _sound()
    assert 10 * np.log10(np.mean(_sound() ** 2) / np.mean(difference**2)) > 17
    quiet = np.concatenate([_sound(3), np.zeros(RATE, dtype=np.float32), _sound(3, seed=1)])
    made = mark_sound(quiet, RATE, KEY, PAYLOAD)
    assert made is not None
    assert np.abs(made[3 * RATE + 1000 : 4 * RATE - 1000]).max() < 1e-6


def test_channels_stay_and_are_marked_alike() -> None:
    both = np.stack([_sound(), _sound(seed=1)], axis=1)
    made = mark_sound(both, RATE, KEY, PAYLOAD)
    assert made is not None
    assert made.shape == both.shape
    assert _found(made)[1] == _found(made[:, 0])[1] == PAYLOAD


def test_a_marked_part_of_a_long_sound_is_found(marked: Array) -> None:
    rest = [_sound(20, seed=seed) for seed in (3, 4)]
    assert _found(np.concatenate([rest[0], marked, marked, rest[1]]))[0] < 1e-4


def test_unmarked_sounds_are_not_found() -> None:
    values = []
    for seed in range(3):
        for number in range(40):
            finding = find_sound_mark(_sound(1, 8000, seed), 8000, [WatermarkKey((number + 1).to_bytes(32, "big"))])
            assert finding is not None
            values.append(finding.p_value or 1.0)
    for level in (0.3, 0.1, 0.02):
        assert np.mean(np.array(values) <= level) <= level + 3 * (level / len(values)) ** 0.5


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, dtype=np.float32),
        np.zeros(1, dtype=np.float32),
        np.zeros(RATE, dtype=np.float32),
        np.full(RATE * 2, np.nan, dtype=np.float32),
        np.full(RATE * 2, np.inf, dtype=np.float32),
        _sound(0.2),
        np.zeros((2, 2, 2), dtype=np.float32),
    ],
    ids=["empty", "one", "silence", "no numbers", "infinite", "short", "no sound"],
)
def test_what_has_no_room_is_not_marked_nor_found(samples: Array) -> None:
    assert mark_sound(samples, RATE, KEY, PAYLOAD) is None
    finding = find_sound_mark(samples, RATE, [KEY])
    assert finding is not None
    assert finding.p_value is None or finding.p_value > 0.01
    assert (finding.note is not None) == (finding.p_value is None)
    assert find_sound_mark(samples, RATE, []) is None


# -- clips -------------------------------------------------------------------------------------------------------------


def _clip(side: int = 64, count: int = 6) -> Array:
    frames = np.full((count, side, side, 3), 235, dtype=np.uint8)
    for number, frame in enumerate(frames):
        place = number * side // (2 * count)
        frame[place : place + side // 2, side // 4 : side // 4 * 3] = (200, 60 + 10 * number, 40)
        frame[: side // 8] = np.linspace(0, 255, side, dtype=np.uint8)[None, :, None]
    return frames


@pytest.mark.parametrize(("form", "scale"), [(".gif", 1), (".webp", 1), (".webp", 4)])
def test_a_clip_is_found_in_the_file_that_it_became(form: str, scale: int, tmp_path: Path) -> None:
    made = mark_clip(_clip(), KEY, PAYLOAD)
    assert made is not None
    assert 10 * np.log10(255**2 / np.mean((made.astype(float) - _clip()) ** 2)) > 38
    path = Clip(tuple(map(Image.fromarray, made))).save(tmp_path / f"clip{form}", scale)
    with Image.open(path) as file:
        read = np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)])
    finding = find_clip_mark(read, [OTHER, KEY])
    assert finding is not None
    assert (finding.key, finding.payload) == (KEY.id, PAYLOAD)
    frame = find_picture_mark(Image.fromarray(made[2]), [KEY])
    assert frame is not None
    assert frame.payload == PAYLOAD


def test_an_unmarked_clip_is_not_found_and_what_is_none_is_not_marked() -> None:
    finding = find_clip_mark(_clip(), [KEY, OTHER])
    assert finding is not None
    assert finding.p_value is not None
    assert finding.p_value > 1e-3
    for wrong in (_clip()[:0], _clip(16), _clip().astype(np.float32), _clip()[..., 0]):
        assert mark_clip(wrong, KEY, PAYLOAD) is None
    assert find_clip_mark(_clip(), []) is None
    nothing = find_clip_mark(_clip()[:0], [KEY])
    assert nothing is not None
    assert nothing.p_value is None


# -- rings -------------------------------------------------------------------------------------------------------------


def test_a_ring_is_found_in_its_noise_and_leaves_it_gaussian() -> None:
    noise = RingedNoise(5, 0, 40, key=KEY)
    drawn = noise.normal("prior", 3, 32, 32)
    assert all(
        f.p_value is not None and f.p_value < 1e-20 and f.key == KEY.id for f in find_noise_ring(drawn, [OTHER, KEY])
    )
    plain = Noise(5, 0, 40).normal("prior", 3, 32, 32)
    assert torch.equal(drawn[:, 1:], plain[:, 1:])
    assert torch.equal(noise.normal("churn 1", 3, 8, 8), Noise(5, 0, 40).normal("churn 1", 3, 8, 8))
    assert torch.equal(noise.part(3, 4).normal("prior", 3, 32, 32)[0], drawn[3])
    assert float(drawn[:, 0].std()) == pytest.approx(1, abs=0.03)
    assert min(f.p_value or 0 for f in find_noise_ring(plain, [KEY])) > 1e-4
    assert find_noise_ring(plain, []) == []
    assert find_noise_ring(torch.zeros(1, 3, 32, 32), [KEY])[0].p_value is None


def test_over_keys_ringed_noise_has_the_variance_of_noise() -> None:
    drawn = [
        RingedNoise(number, 0, 1, key=WatermarkKey(number.to_bytes(32, "big"))).normal("prior", 1, 8, 8)
        for number in range(600)
    ]
    assert torch.allclose(torch.stack(drawn).var(0), torch.ones(1, 1, 8, 8), atol=0.25)

"""Log-mel frames are librosa's, and sound is found again from them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from daedal.codecs.mel import MelCodec, hertz_of, mel_filters, mel_of
from daedal.errors import DaedalError

CODEC = MelCodec.for_rate(8000)
FILTERS = (
    [-0.000000000, 0.012012645, 0.024025289, 0.019416885, 0.007404241, 0.000000000],
    [0.000000000, 0.000000000, 0.004189982, 0.008476041, 0.012762101, 0.015790297, 0.011660723, 0.007531148],
)
FRAMES = [
    [-2.45393, -2.62571, -3.62314, -5.84338],
    [-8.45419, -2.01896, -3.88221, -9.21034],
    [-6.92617, -2.47574, -3.41306, -9.21034],
    [-4.81061, -3.05748, -9.21034, -9.21034],
]


def voice(seconds: float, rate: int = 8000) -> Tensor:
    """A tone that glides, with overtones."""
    at = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(150 + 60 * np.sin(2 * np.pi * 2 * at)) / rate
    made = sum(np.sin(part * phase) / part for part in range(1, 9))
    return torch.from_numpy((0.1 * np.asarray(made)).astype(np.float32))


def test_mels_are_slaneys() -> None:
    # as librosa's documentation prints them
    assert mel_of(np.array([60.0, 110.0, 220.0, 440.0])) == pytest.approx([0.9, 1.65, 3.3, 6.6])
    assert hertz_of(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx(
        [66.667, 133.333, 200.0, 266.667, 333.333], abs=1e-3
    )
    edges = hertz_of(np.linspace(0, mel_of(np.array([11025.0]))[0], 40))
    assert edges[[1, 2, 12, 13, 39]] == pytest.approx([85.317, 170.635, 1024.856, 1119.114, 11025.0], abs=1e-3)


@given(st.floats(0, 24000))
def test_mels_and_hertz_are_each_others_inverse(hertz: float) -> None:
    assert hertz_of(mel_of(np.array([hertz])))[0] == pytest.approx(hertz, abs=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
def test_each_band_hears_something_at_every_rate(rate: int) -> None:
    codec = MelCodec.for_rate(rate)
    filters = mel_filters(rate, codec.fft, codec.bands)
    assert (filters.max(axis=1) > 0).all()
    assert 0.01 <= codec.hop / rate <= 0.022


def test_filters_and_frames_are_librosas() -> None:
    filters = mel_filters(8000, 512, 64)
    # librosa 0.11: filters.mel(sr=8000, n_fft=512, n_mels=64)
    assert filters[0, :6] == pytest.approx(FILTERS[0], abs=1e-7)
    assert filters[40, 100:108] == pytest.approx(FILTERS[1], abs=1e-7)
    frames = CODEC.encode(voice(0.5))
    # log(maximum(feature.melspectrogram(..., power=1), 1e-4))
    assert frames.shape == (32, 64)
    assert frames[::8, ::16].numpy() == pytest.approx(np.array(FRAMES), abs=1e-4)


def test_frames_are_librosas_where_it_is_installed() -> None:
    librosa = pytest.importorskip("librosa")
    for rate in (8000, 22050):
        codec, y = MelCodec.for_rate(rate), voice(1.0, rate)
        how = {"sr": rate, "n_fft": codec.fft, "hop_length": codec.hop, "n_mels": codec.bands, "power": 1.0}
        mel = librosa.feature.melspectrogram(y=y.numpy(), **how)
        frames = codec.encode(y).numpy()
        assert np.maximum(mel.T, codec.floor) == pytest.approx(np.exp(frames), abs=1e-4)
        assert np.log(mel.T[mel.T > 1e-3]) == pytest.approx(frames[mel.T > 1e-3], abs=1e-4)
        size = np.abs(librosa.stft(y.numpy(), n_fft=codec.fft, hop_length=codec.hop))
        of = {"n_iter": 4, "hop_length": codec.hop, "n_fft": codec.fft, "init": None}
        made = codec.but(iterations=4).griffin_lim(torch.from_numpy(size.T.copy()))
        assert librosa.griffinlim(size, **of) == pytest.approx(made.numpy(), abs=1e-4)


def test_frames_are_the_same_within_what_learns_in_mixed_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        mixed = CODEC.encode(voice(0.2))
    assert torch.equal(mixed, CODEC.encode(voice(0.2)))


def test_a_spectrum_gives_its_sound_back() -> None:
    sound = voice(0.48)
    assert torch.allclose(CODEC.samples(CODEC.spectrum(sound)), sound, atol=1e-5)


def test_sound_of_frames_has_these_frames() -> None:
    wanted = CODEC.encode(voice(1.0))
    made = CODEC.decode(wanted)
    assert len(made) == 128 * (len(wanted) - 1)
    again = CODEC.encode(made)
    assert (again - wanted).abs().mean() < 0.25
    once = CODEC.encode(CODEC.but(iterations=0).decode(wanted))
    assert (again - wanted).abs().mean() < (once - wanted).abs().mean()


def test_sounds_are_the_same_alone_and_in_a_batch() -> None:
    both = torch.stack([voice(0.3), voice(0.3).flip(0)])
    assert torch.allclose(CODEC.encode(both)[1], CODEC.encode(both[1]), atol=1e-5)
    few = CODEC.but(iterations=2)
    assert torch.allclose(few.decode(CODEC.encode(both))[0], few.decode(CODEC.encode(both[0])), atol=1e-4)


def test_silence_is_the_floor_and_short_sounds_have_a_frame() -> None:
    assert CODEC.encode(torch.zeros(1000)).allclose(torch.tensor(CODEC.silence))
    assert CODEC.encode(torch.zeros(1)).shape == (1, 64)
    assert CODEC.encode(torch.zeros(0)).shape == (1, 64)


def test_what_does_not_fit_together_is_refused() -> None:
    for values in ({"hop": 100}, {"bands": 400}, {"hop": 512}):
        with pytest.raises(DaedalError, match=r"hops|bands"):
            CODEC.but(**values)

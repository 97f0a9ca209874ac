"""A vocoder makes sound of frames, of each as if it were alone; a model that speaks has it for its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import daedal
from daedal.codecs.mel import MelCodec
from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.models.model import Moment
from daedal.models.vocoder import Vocoder, VocoderConfig
from daedal.models.waves import WaveBatch
from daedal.nn.noise import Noise
from daedal.nn.spectra import log_spectral_distance, spectral_error
from kind_examples import sounds, tone, wav

torch.set_num_threads(1)
MEL = MelCodec.for_rate(8000)
CONFIG = VocoderConfig(rate=8000, fft=512, hop=128, bands=64, mean=-5.0, spread=2.0, width=16, depth=2)
SMALL = {"width": 16, "depth": 1, "batch": 4, "seconds": 0.2, "seed": 1}
VOICE = {"features": 16, "levels": 2, "blocks": 1, "text_width": 32, "text_depth": 1, "batch": 8, "seed": 1}


def vocoder(seed: int = 0) -> Vocoder:
    model = Vocoder(CONFIG)
    model.initialise(torch.Generator().manual_seed(seed))
    return model.eval()


def waves(count: int, samples: int = 2048, seed: int = 1) -> torch.Tensor:
    return 0.1 * torch.randn(count, samples, generator=torch.Generator().manual_seed(seed))


# -- the model ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(2, 30), min_size=1, max_size=5), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_batch_is_each_alone_and_what_stands_behind_is_nothing(counts: list[int], seed: int) -> None:
    model, generator = vocoder(), torch.Generator().manual_seed(seed)
    frames = [torch.rand(count, 64, generator=generator) * 8 - 9 for count in counts]
    together = model.sounds(frames)
    for made, alone in zip(together, frames, strict=True):
        assert len(made) == (len(alone) - 1) * 128
        assert torch.allclose(made, model.sounds([alone])[0], atol=1e-5)
    padded = torch.cat([frames[0], torch.full((4, 64), 3.0)])[None]
    spectrum = model(padded, torch.tensor([len(frames[0])]))[0, : len(frames[0])]
    assert torch.allclose(MEL.samples(spectrum).clamp(-1, 1), together[0], atol=1e-5)


@given(st.integers(2, 20))
@settings(max_examples=10, deadline=None)
def test_the_head_gives_back_the_sound_of_its_own_spectrum(hops: int) -> None:
    wave = waves(1, hops * 128)[0]
    assert torch.allclose(vocoder().mel.samples(MEL.spectrum(wave)), wave, atol=1e-5)


def test_bins_of_exactly_nothing_have_finite_gradients() -> None:
    samples = torch.zeros(2048, requires_grad=True)
    MEL.encode(samples).sum().backward()
    assert samples.grad is not None
    assert torch.isfinite(samples.grad).all()


@pytest.mark.parametrize("samples", [1, 9, 127, 128, 200])
def test_the_shortest_recording_has_a_copy(samples: int) -> None:
    copy = vocoder().copy(waves(1, samples)[0])
    assert len(copy) == min(samples, 128 * max(1, samples // 128))
    assert torch.isfinite(copy).all()


def test_parts_of_a_batch_add_up_to_it() -> None:
    model, every = vocoder(), waves(6)
    parts = [model.loss(WaveBatch(every[first : first + 3], Noise(0, first, 3)).at(Moment(6.0))) for first in (0, 3)]
    together = model.loss(WaveBatch(every, Noise(0, 0, len(every))).at(Moment(6.0)))
    assert torch.allclose(sum(each.total for each in parts), together.total, rtol=1e-4)


def test_silence_and_noise_have_finite_gradients() -> None:
    model = vocoder().train()
    model.loss(WaveBatch(torch.stack([torch.zeros(2048), waves(1)[0]]), Noise(0, 0, 2))).total.backward()
    assert all(torch.isfinite(each.grad).all() for each in model.parameters() if each.grad is not None)


@given(st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_spectra_tell_a_sound_from_another_and_not_from_its_negative(seed: int) -> None:
    one, other = waves(2, 1500, seed)[:, None]
    assert float(spectral_error(one, one)) == 0
    assert float(log_spectral_distance(one, -one)) < 1e-5
    assert float(spectral_error(one, other)) > 0.5


# -- from recordings to a voice ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocoder")
    (folder / "in").mkdir()
    daedal.build_data([sounds(folder / "in")], folder / "data", workers=1, split=(60, 20, 20), transcripts="none")
    return folder / "data"


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    daedal.train("vocoder", data=data, out=data.parent / "vocoder", steps=6, **SMALL)
    return data.parent / "vocoder"


def test_it_is_measured_beside_griffin_lim(run: Path, tmp_path: Path) -> None:
    report = daedal.evaluate(run, seconds=20)
    names = {each.name for each in report.measurements}
    assert names == {"log-spectral distance", "log-mel error", "mel distance", "real-time factor"}
    assert [each.name for each in report.baselines] == ["Griffin-Lim"]
    assert "<audio controls" in (run / "report.html").read_text()
    assert (run / "copies.wav").is_file()
    (copy,) = Generator.open(run).copied(wav(tmp_path / "a.wav", tone(700, 0.3)))
    assert copy.seconds == pytest.approx(0.3, abs=0.016)


def test_a_voice_keeps_its_vocoder_and_speaks_by_it(run: Path, data: Path) -> None:
    out = data.parent / "voice"
    daedal.train("speech", data=data, out=out, codec=run, steps=1, **VOICE)
    voice, plain = Generator.open(out), Generator.open(out)
    plain.model.vocoder = None
    assert (out / "codec" / "model.safetensors").is_file()
    assert (voice.way_to_sound, plain.way_to_sound) == ("the vocoder", "Griffin-Lim")
    assert voice.fingerprint != plain.fingerprint
    frames = MEL.encode(torch.from_numpy(tone(600, 0.2).astype(np.float32) / 32768))
    assert torch.equal(voice.model.sound(frames), Generator.open(run).model.sounds([frames])[0])
    assert not np.allclose(voice.say("1", seed=1, steps=1)[0].samples, plain.say("1", seed=1, steps=1)[0].samples)
    daedal.train("speech", data=data, out=data.parent / "on", init=out, steps=1, seed=1)
    assert Generator.open(data.parent / "on").way_to_sound == "the vocoder"


def test_what_is_no_vocoder_of_the_data_is_refused(run: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    daedal.build_data([sounds(tmp_path / "in")], tmp_path / "data", workers=1, rate=16000, transcripts="none")
    with pytest.raises(DaedalError, match="makes no sound of frames of 16,000 Hz"):
        daedal.make_plan("speech", data=tmp_path / "data", codec=run, steps=1)
    with pytest.raises(DaedalError, match="Leave --codec away"):
        daedal.make_plan("listener", data=data, codec=run, steps=1)

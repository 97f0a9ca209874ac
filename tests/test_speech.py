"""A flow that speaks says what it is told and by whom, and a passage anew; what it cannot say is refused in a line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import daedal
from command_line import daedal as command
from command_line import mistake
from daedal.codecs.mel import MelCodec
from daedal.data.columns import Signal
from daedal.errors import DaedalError
from daedal.evaluation.kinds.speech import SpeechOptions, SpeechSubject, Spoken, told_by
from daedal.evaluation.sounds.copying import SoundCopies
from daedal.evaluation.sounds.frames import as_sounds
from daedal.evaluation.sounds.resemblance import Resemblance
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator
from daedal.inference.sound import Sound
from daedal.models.speech import Speech, SpeechConfig
from daedal.training.run import RunFolder
from kind_examples import sounds, tone, wav

torch.set_num_threads(1)
SMALL = {"features": 16, "levels": 2, "blocks": 1, "text_width": 32, "text_depth": 1, "batch": 8, "seed": 1}


def config(**more: object) -> SpeechConfig:
    values = {
        "channels": 1,
        "height": 64,
        "width": 32,
        "rate": 8000,
        "fft": 512,
        "hop": 128,
        "mean": -5.0,
        "spread": 3.0,
    }
    return SpeechConfig.parse({**values, "labels": ("0", "1"), "speakers": ("ada", "bob"), **more}, "config")


@given(st.integers(1, 50))
@settings(max_examples=20)
def test_frames_come_back_from_their_picture_with_silence_behind_them(count: int) -> None:
    shape, generator = config(), torch.Generator().manual_seed(count)
    frames = torch.rand(count, 64, generator=generator) * 5 - 6
    picture = shape.picture(frames)
    assert picture.shape == (1, 64, 32)
    back = shape.frames(picture)
    kept = min(count, 32)
    assert torch.allclose(back[:kept], frames[:kept], atol=1e-4)
    assert back[kept:].allclose(torch.tensor(shape.mel.silence))


def test_a_sound_is_written_as_a_spectrogram_too(tmp_path: Path) -> None:
    sound = Sound((tone(440, 0.5) / 32768).astype(np.float32), 8000)
    with Image.open(sound.save(tmp_path / "said.png")) as shown:
        assert shown.height == 256
    with pytest.raises(DaedalError, match=r"said\.txt: no sound is written as \.txt"):
        sound.save(tmp_path / "said.txt")


def test_a_prompt_says_who_speaks_and_a_transcript_is_spelled() -> None:
    assert config().prompt("7", "theo") == "theo says 7"
    assert config().prompt("7", None) == "anybody says 7"
    assert config(speakers=()).prompt("7", None) == "says 7"
    assert config(labels=(), characters=("a", "b", " ")).prompt("ab a", "ada") == "ada says a b _ a"


def test_what_is_drawn_sounds_as_its_frames_say() -> None:
    shape = config()
    wave = torch.from_numpy(tone(600, 0.25).astype(np.float32) / 32768)
    with torch.device("meta"):
        model = Speech(shape.but(words=8, window=4, features=16, text_width=32))
    (made,) = model.sounds(shape.picture(MelCodec.for_rate(8000).encode(wave))[None])
    assert abs(len(made) - len(wave)) <= 4 * 128
    assert abs(int(torch.fft.rfft(made[:2000]).abs().argmax()) - 150) <= 2


@pytest.fixture(scope="module", params=["labels", "transcripts"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has hardly learned to speak: of classes, or of what is said."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "in").mkdir()
    said = {"transcripts": "none"} if request.param == "labels" else {}
    daedal.build_data([sounds(folder / "in")], folder / "data", workers=1, split=(60, 20, 20), **said)
    daedal.train("speech", data=folder / "data", out=folder / "run", steps=2, **SMALL)
    return folder / "run"


def says(run: Path) -> str:
    return "1" if run.parent.name.startswith("labels") else "harbour engine"


def test_a_sound_of_a_seed_is_the_same_in_any_number(run: Path) -> None:
    voice = Generator.open(run)
    how = {"seed": 3, "steps": 2}
    two = voice.say(says(run), "ada", 2, **how)
    assert np.allclose(voice.say(says(run), "ada", 1, first=1, **how)[0].samples, two[1].samples, atol=1e-3)
    assert two[0].provenance is not None
    assert (two[0].provenance.prompt, two[0].provenance.speaker) == (says(run), "ada")  # type: ignore[attr-defined]
    assert len(two[0].samples) <= voice.model.config.width * 128


def test_around_a_passage_all_stays_as_it_was(run: Path) -> None:
    voice, samples = Generator.open(run), tone(700, 0.4)
    made = voice.say_anew(Signal(samples[:, None], 8000.0), 0.1, 0.2, says(run), seed=1, steps=2).samples
    given_samples = samples.astype(np.float32) / 32768
    assert len(made) == len(samples)
    assert np.allclose(made[: 800 - 80], given_samples[: 800 - 80], atol=1e-6)
    assert np.allclose(made[1600 + 80 :], given_samples[1600 + 80 :], atol=1e-6)
    assert np.abs(made - given_samples)[900:1500].max() > 0.01


def test_what_it_cannot_say_is_refused_in_a_line(run: Path, tmp_path: Path) -> None:
    voice, audio = Generator.open(run), wav(tmp_path / "a.wav", tone(700, 0.2))
    with pytest.raises(DaedalError, match="has heard no speaker 'carl'"):
        voice.say(says(run), "carl")
    with pytest.raises(DaedalError, match=r"has not learned to say|No transcript has"):
        voice.say("Ünknown 99")
    with pytest.raises(DaedalError, match="says nothing"):
        voice.say("  ")
    with pytest.raises(DaedalError, match="takes no top_k"):
        voice.say(says(run), top_k=3)
    with pytest.raises(DaedalError, match=r"lasts 0.20 s"):
        voice.say_anew(audio, 0.1, 0.5, says(run))
    with pytest.raises(DaedalError, match=r"A model of speech cannot listen.*; this one has say\(\.\.\.\)"):
        voice.transcribe(audio)
    with pytest.raises(DaedalError, match="do not say how many of them make a second"):
        voice.copied(np.zeros(800, np.float32))


def test_the_commands_speak(run: Path, tmp_path: Path) -> None:
    audio = wav(tmp_path / "a.wav", tone(700, 0.3))
    out = tmp_path / "said.flac"
    asked = ("--prompt", says(run), "--speaker", "bob", "--steps", "2", "--seed", "1")
    assert command("generate", run, *asked, "--out", out).code == 0
    assert json.loads((tmp_path / "said.flac.json").read_text())["prompt"] == says(run)
    assert "exists already" in mistake("generate", run, *asked, "--out", out)
    told = json.loads(command("generate", run, *asked, "-n", "2", "--out", tmp_path / "many", "--json").out)
    assert [Path(each["file"]).name for each in told] == ["00000.wav", "00001.wav"]
    again = ("-n", "2", "--out", tmp_path / "many")
    assert "is not empty" in mistake("generate", run, *asked, *again)
    assert command("generate", run, *asked, *again, "--replace").code == 0
    assert "cannot be created" in mistake("generate", run, *asked, "--out", audio / "said.wav")
    passage = ("--audio", audio, "--from", "0.1", "--to", "0.2", "--prompt", says(run), "--steps", "2")
    assert command("edit", run, *passage, "--out", tmp_path / "B.wav").code == 0
    assert (tmp_path / "B.wav").is_file()
    assert "--from and --to" in mistake("edit", run, "--audio", audio, "--prompt", says(run))
    assert "Nothing is to be said" in mistake("generate", run)
    assert "--class can do nothing here" in mistake("generate", run, *asked, "--class", "1")


FRAMES = {"mel distance", "nearest training recording", "authentic sounds"}
"""What is measured without a listener."""


@pytest.fixture(scope="module")
def ears(run: Path) -> Path:
    """A listener that has hardly learned to hear."""
    small = {"width": 16, "depth": 1, "channels": 8, "batch": 8}
    daedal.train("listener", data=run.parent / "data", out=run.parent / "ears", steps=2, **small)
    return run.parent / "ears"


def test_a_listener_judges_it_beside_the_ceilings(run: Path, ears: Path) -> None:
    report = daedal.evaluate(run, judge=str(ears), seconds=6, split="train")
    spelled = {"heard word error rate", "heard character error rate"} if "harbour" in says(run) else set()
    heard = {
        "recognised right",
        "speaker recognised right",
        "speaker similarity",
        "Fréchet audio distance",
        "kernel audio distance",
    }
    assert FRAMES | heard | spelled <= {each.name for each in report.measurements}
    named = {each.name for each in report.baselines}
    assert named == {"real recordings", "copies by Griffin-Lim", "another speaker", "training recordings"}
    assert all(each.n > 0 for each in report.measurements)
    assert {"spectrograms.png", "neighbours.png", "spoken.wav"} <= {path.name for path in run.iterdir()}
    page = (run / "report.html").read_text()
    assert "<audio controls" in page
    assert "media-src data:" in page
    with pytest.raises(DaedalError, match="cannot listen"):
        daedal.evaluate(run, judge=str(run))


def test_without_a_listener_frames_are_compared_and_what_is_missing_is_told(run: Path) -> None:
    report = daedal.evaluate(run, seconds=4)
    assert FRAMES <= {each.name for each in report.measurements} <= FRAMES | {"farther than held-out sounds"}
    assert any("no listener is named" in line for line in report.missing)


def test_the_recordings_themselves_are_as_near_as_can_be_and_their_copies_are_found(run: Path, ears: Path) -> None:
    """What a model says is measured as it should be: here it says the recordings that it learned from."""
    voice = Generator.open(run)
    subject = SpeechSubject.open(
        voice,
        Source.open(None, RunFolder(run)),
        SpeechOptions(judge=str(ears), split="train"),
        lambda done, doing: None,
    )
    subject.held = subject.used = subject.held.some(24, 0)
    real, config = as_sounds(voice.codec, subject.held["sound"]), voice.model.config
    speakers: list[str | None] = list(subject.held["speaker"])
    subject.spoken = Spoken(told_by(config, subject.held), speakers, real, np.arange(24), real, real, "nothing")
    found = {
        each.quantity.split("/")[0]: each.value
        for evaluator in (Resemblance(), SoundCopies())
        for each in evaluator.measure(subject, 10, lambda done, doing: None).measurements
    }
    assert found["frechet-audio-distance"] == pytest.approx(0, abs=1e-3)
    assert found["nearest-training-sound"] == pytest.approx(0, abs=1e-4)
    assert found["authenticity"] == 0


def test_classes_that_are_one_prompt_are_refused(tmp_path: Path) -> None:
    for number in range(24):
        folder = tmp_path / "in" / ("Ja", "ja", "no")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        wav(folder / f"{number}.wav", tone(300 + 10 * number, 0.1 + 0.001 * number))
    daedal.build_data([tmp_path / "in"], tmp_path / "data", workers=1, labels="folders")
    with pytest.raises(DaedalError, match=r"classes Ja and ja .* are one"):
        daedal.train("speech", data=tmp_path / "data", out=tmp_path / "run", steps=2)


def test_recordings_that_say_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    daedal.build_data([sounds(tmp_path / "in")], tmp_path / "data", workers=1, labels="none", transcripts="none")
    with pytest.raises(DaedalError, match="Nothing says what is said"):
        daedal.train("speech", data=tmp_path / "data", out=tmp_path / "run", steps=2)

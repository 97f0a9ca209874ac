"""Sound as tokens: books that say what others left, the delay pattern, and a GPT that speaks them."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import daedal
from command_line import daedal as command
from command_line import mistake
from daedal.codecs.mel import MelCodec
from daedal.codecs.mel_pictures import MelPictures
from daedal.codecs.pronunciations import Pronunciations
from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.models.autoregression import TorchNetwork
from daedal.models.image import ImageSampling
from daedal.models.soundgpt import SoundGPT, SoundGPTConfig, SoundModel
from daedal.models.soundtokens import SoundTokens, SoundTokensConfig
from daedal.nn.delay import Pattern
from daedal.nn.noise import Noise
from daedal.nn.residual_quantizer import ResidualFSQ
from daedal.training.trainer import Interrupted, Trainer
from kind_examples import sounds, tone, wav
from runs import same, stop_at

torch.set_num_threads(1)
TOKENS = {"width": 16, "depth": 1, "batch": 8, "levels": (4, 3)}
GPT = {"width": 32, "depth": 2, "heads": 2, "batch": 8}


def tokenizer(books: int = 3) -> SoundTokens:
    values = {"rate": 8000, "fft": 512, "hop": 128, "bands": 64, "books": books, "levels": (4, 3), "width": 16}
    model = SoundTokens(SoundTokensConfig.parse({**values, "depth": 1}, "config"))
    model.initialise(torch.Generator().manual_seed(1))
    return model.eval()


def speaker(books: int = 3) -> SoundModel:
    said = {"words": 5, "window": 3, "labels": ("0", "1")}
    shape = {"vocab_size": 12 + 1 + 1 + 5 + 1, "width": 32, "depth": 2, "heads": 2, "context": 40}
    config = SoundGPTConfig.of("swift", **shape, books=books, codes=12, length=20, **said)
    model = SoundModel(SoundGPT(config), tokenizer(books))
    model.initialise(torch.Generator().manual_seed(2))
    for parameter in model.inner.parameters():  # blocks that are no identity
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
    return model.eval()


LABELS = torch.tensor([[-1, 1, 2], [-1, -1, 4], [0, 1, 3]])
HOW = ImageSampling(guidance=2.0, temperature=0.9)


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=30)
def test_the_delay_pattern_undone_is_the_identity(batch: int, steps: int, books: int) -> None:
    codes = torch.randint(9, (batch, steps, books), generator=torch.Generator().manual_seed(steps))
    pattern = Pattern.one_by_one(books)
    laid = pattern.laid(codes, 9)
    assert laid.shape == (batch, steps + books - 1, books)
    assert torch.equal(pattern.undone(laid), codes)
    for book in range(books):
        assert bool((laid[:, :book, book] == 9).all())
        assert torch.equal(laid[:, book : book + steps, book], codes[..., book])


def test_delays_begin_with_none_and_rise() -> None:
    for delays in ((1, 2), (0, 0), (0, 2, 1), ()):
        with pytest.raises(DaedalError):
            Pattern.parse({"delays": delays}, "pattern")


def test_codes_stand_for_the_states_that_they_were_made_of() -> None:
    books = ResidualFSQ(8, (4, 3), 3)
    states = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    made, ids, _ = books(states)
    assert ids.shape == (2, 5, 3)
    assert torch.allclose(books.states(ids), made, atol=1e-6)
    first, _, _ = books(states, torch.tensor([1, 3]))
    assert torch.allclose(first[1], made[1], atol=1e-6)
    assert not torch.allclose(first[0], made[0], atol=1e-3)


def test_a_sound_in_a_batch_of_others_has_the_codes_and_the_samples_that_it_has_alone() -> None:
    model, waves = tokenizer(), [torch.from_numpy(tone(500, s).astype(np.float32) / 32768) for s in (0.1, 0.31, 0.2)]
    together = model.encode_ids(waves)
    assert [len(each) for each in together] == [model.config.moments(len(wave)) for wave in waves]
    rebuilt = model.decode_ids(together)
    for wave, ids, sound in zip(waves, together, rebuilt, strict=True):
        assert torch.equal(model.encode_ids([wave])[0], ids)
        assert torch.allclose(model.decode_ids([ids])[0], sound, atol=1e-5)
        assert len(sound) >= len(wave)


def test_what_is_written_is_the_same_with_and_without_a_cache() -> None:
    model = speaker().inner
    codes = torch.randint(12, (2, 9, 3), generator=torch.Generator().manual_seed(4))
    whole = model.head(model.hidden(codes))
    network, cache = TorchNetwork(model), model.new_cache(2, 9)
    parts = [network(codes[:, :4], cache, every=True), *(network(codes[:, at : at + 1], cache) for at in range(4, 9))]
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-4)
    assert whole.shape == (2, 9, 3, 13)


def test_sounds_are_the_same_one_by_one_and_go_on_with_what_is_known() -> None:
    model = speaker()
    together = model.write(Noise(7, 0, 3), LABELS, HOW)
    assert len({len(each) for each in together}) > 1  # else nothing is seen of rows that end
    for number, codes in enumerate(together):
        assert 1 <= len(codes) <= 20
        assert 0 <= int(codes.min()) <= int(codes.max()) < 12
        alone = model.write(Noise(7, number, 1), LABELS[number : number + 1], HOW)
        assert torch.equal(alone[0], codes)
    known = [codes[: max(1, len(codes) // 2)] for codes in together]
    for other, begin in zip(model.write(Noise(8, 0, 3), LABELS, HOW, known), known, strict=True):
        assert torch.equal(other[: len(begin)], begin)
    assert [len(each) for each in model.write(Noise(9, 0, 3), LABELS, HOW, steps=11)] == [11] * 3


def test_every_code_and_the_end_of_a_sound_is_learned_once() -> None:
    model = speaker().inner
    codes = [torch.arange(3 * steps).view(steps, 3) % 12 for steps in (2, 4)]
    batch = model.batch(codes, LABELS[:2], [True, False])
    assert batch.inputs.shape == batch.targets.shape == (2, 3 + 1 + 4 + 2, 3)
    assert batch.count == 3 * 2 + 1 + 3 * 4
    learned = batch.targets[1][batch.targets[1] >= 0]
    assert sorted(learned.tolist()) == sorted(codes[1].flatten().tolist())
    assert torch.isfinite(model.loss(batch).total)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    (folder / "in").mkdir()
    daedal.build_data([sounds(folder / "in")], folder / "data", workers=1, split=(60, 20, 20), transcripts="none")
    return folder / "data"


@pytest.fixture(scope="module")
def tokens(data: Path) -> Path:
    out = data.parent / "tokens"
    daedal.train("soundtokens", data=data, out=out, steps=2, **TOKENS)
    return out


@pytest.fixture(scope="module")
def run(data: Path, tokens: Path) -> Path:
    """A model that has hardly learned to speak."""
    out = data.parent / "run"
    daedal.train("soundgpt", data=data, out=out, codec=tokens, steps=2, **GPT)
    return out


def test_it_speaks_by_the_skill_of_other_voices(run: Path) -> None:
    voice = Generator.open(run)
    two = voice.say("1", "ada", 2, seed=3)
    assert np.allclose(voice.say("1", "ada", 1, seed=3, first=1)[0].samples, two[1].samples, atol=1e-5)
    assert two[0].rate == 8000
    assert two[0].provenance is not None
    with pytest.raises(DaedalError, match="has heard no speaker 'carl'"):
        voice.say("1", "carl")
    with pytest.raises(DaedalError, match="says no passage of one anew"):
        voice.say_anew(two[0], 0.0, 0.02, "1")


def test_the_commands_train_both_in_one_budget_and_speak(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    asked = ("--steps", "2", "--width", "32", "--depth", "1", "--batch", "8")
    assert command("train", "sound", "--data", data, "--out", out, *asked).code == 0
    assert (out / "codec" / "config.json").is_file()
    told = command("generate", out, "--prompt", "1", "--seed", "1", "--out", tmp_path / "said.wav")
    assert told.code == 0
    assert json.loads((tmp_path / "said.wav.json").read_text())["prompt"] == "1"
    assert "learned from nothing" in mistake("train", "sound", "--data", data, "--out", tmp_path / "no", "--init", out)


def test_a_run_that_was_stopped_comes_to_the_same_as_one_that_was_not(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"steps": 4, "checkpoint_every": 2, "width": 32, "depth": 1, "batch": 4, "threads": 1}
    daedal.train("sound", data=data, out=tmp_path / "whole", **asked)
    run, init = tmp_path / "stopped", Trainer.__init__

    def stopping(self: Trainer, *parts: object) -> None:
        init(self, *parts)  # type: ignore[arg-type]
        stop_at(self, 2)

    for _ in range(2):  # in the first stage, and in the second
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "__init__", stopping)
            with pytest.raises(Interrupted):
                daedal.resume(run) if run.exists() else daedal.train("sound", data=data, out=run, **asked)
    daedal.resume(run)
    assert same(tmp_path / "whole", run)
    assert same(tmp_path / "whole" / "codec", run / "codec")


def test_a_tokenizer_shows_what_becomes_of_recordings(tokens: Path, tmp_path: Path) -> None:
    audio = wav(tmp_path / "a.wav", tone(700, 0.2))
    (found,) = json.loads(command("reconstruct", tokens, audio, "--out", tmp_path / "b.wav", "--json").out)
    assert (found["books"], found["moments"]) == (3, 7)
    assert found["distance"] > 0
    assert (tmp_path / "b.wav").is_file()
    assert "Leave --class out" in mistake("reconstruct", tokens, audio, "--class", "1")
    with pytest.raises(DaedalError, match="cannot speak"):
        daedal.load(tokens).say("1")


def test_sounds_that_nobody_told_anything_of_are_written_and_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    nothing = {"labels": "none", "transcripts": "none", "workers": 1, "split": (60, 20, 20)}
    daedal.build_data([sounds(tmp_path / "in")], tmp_path / "data", **nothing)
    daedal.train("sound", data=tmp_path / "data", out=tmp_path / "run", steps=2, **GPT)
    audio, out = wav(tmp_path / "a.wav", tone(700, 0.2)), tmp_path / "B.wav"
    how = ("--seed", "1", "--no-watermark", "--out", out)  # which would be in what was given too
    assert command("generate", tmp_path / "run", "--continue", audio, "--seconds", "1.5", *how).code == 0
    made, rate = soundfile.read(out)
    assert len(made) / rate == pytest.approx(1.5, abs=0.05)  # longer than it learned, in pieces
    assert np.allclose(made[: 1600 - 90], (tone(700, 0.2) / 32768)[: 1600 - 90], atol=1e-3)
    assert command("generate", tmp_path / "run", "-n", "2", "--out", tmp_path / "new").code == 0
    assert "was not told what its recordings say" in mistake("generate", tmp_path / "run", "--prompt", "one")
    assert "lasts 0.20 s already" in mistake("generate", tmp_path / "run", "--continue", audio, "--seconds", "0.1")


def test_a_gpt_over_sounds_wants_a_tokenizer_of_sounds(data: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="Train a tokenizer on it first"):
        daedal.train("soundgpt", data=data, out=tmp_path / "no", steps=2)
    with pytest.raises(DaedalError, match="makes no tokens of sounds"):
        daedal.train("soundgpt", data=data, out=tmp_path / "no", steps=2, codec=run)


def test_what_cannot_be_made_is_refused_before_it_is_begun(run: Path, tmp_path: Path) -> None:
    voice = Generator.open(run)
    word = voice.model.config.labels[0]
    with pytest.raises(DaedalError, match="memory"):
        voice.say(word, n=10**9)
    with pytest.raises(DaedalError, match="There is no seed -1"):
        voice.say(word, seed=-1)
    for seconds in (0.0, -1.0, 1e9, float("nan")):
        with pytest.raises(DaedalError, match="cannot be made"):
            voice.go_on(None, word, seconds=seconds)
    with pytest.raises(DaedalError, match="Give a prompt too"):
        voice.go_on(tone_file(tmp_path), speaker="nobody")
    shutil.copytree(run, tmp_path / "alone")
    shutil.rmtree(tmp_path / "alone" / "codec")
    with pytest.raises(DaedalError, match="codec is missing"):
        Generator.open(tmp_path / "alone")


def tone_file(folder: Path) -> Path:
    return wav(folder / "a.wav", tone(440, 0.1))


@pytest.mark.parametrize(
    "changed", [{"levels": (256,) * 8}, {"fft": 2**30}, {"fft": 17}, {"hop": 2**30}, {"bands": 2**30}, {"rate": 10**9}]
)
def test_shapes_of_tokenizers_that_cannot_be_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(DaedalError, match=r"at most 65,536 fit|^frames: "):
        SoundTokensConfig.parse(tokenizer().config.model_dump() | changed, "config.json")


@pytest.mark.parametrize("rate", [1000, 1500, 8000, 44_100, 384_000])
def test_every_rate_that_a_recording_may_have_has_frames(rate: int) -> None:
    mel = MelCodec.for_rate(rate)
    assert torch.isfinite(mel.decode(mel.encode(torch.randn(rate // 4) * 0.1))).all()


# -- words as they are said --------------------------------------------------------------------------------------------

DICTIONARY = """;;; a note
HARBOUR  HH AA1 R B ER0
HARBOUR(2)  HH AA1 B ER0
ENGINE 1 EH1 N JH AH0 N
DON'T  D OW1 N T
"""


def test_words_become_phonemes_and_those_that_are_not_known_letters(tmp_path: Path) -> None:
    (tmp_path / "words.dict").write_text(DICTIONARY)
    said = Pronunciations.read(tmp_path / "words.dict")
    assert said.spell("harbour cat don't") == [
        *["hh", "aa1", "r", "b", "er0"],
        " ",
        *"cat",
        " ",
        *["d", "ow1", "n", "t"],
    ]
    assert said.unknown("the harbour, don't 7") == ["the"]
    said.save(tmp_path)
    kept = Pronunciations.load(tmp_path)
    assert kept is not None
    assert kept.words == said.words
    assert Pronunciations.load(tmp_path / "elsewhere") is None
    (tmp_path / "none.txt").write_text("nothing here\n7\n")
    with pytest.raises(DaedalError, match="says of no word how it is said"):
        Pronunciations.read(tmp_path / "none.txt")
    with pytest.raises(DaedalError, match="cannot be read"):
        Pronunciations.read(tmp_path / "missing.txt")


def test_a_dictionary_that_is_none_is_refused(tmp_path: Path) -> None:
    line = "HARBOUR  HH AA1 R B ER0\n"
    path, packed = tmp_path / "words.txt", tmp_path / "words.zip"
    for bad in (f"{line}7\n8\n", f"HARBOUR  {'HH ' * 200}\n", line.encode("utf-16").decode("latin-1")):
        path.write_text(bad)
        with pytest.raises(DaedalError, match="says of no word how it is said"):
            Pronunciations.read(path)
    path.write_text(f"\ufeff{line}")
    assert [*Pronunciations.read(path).words] == ["harbour"]
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("words", line * 100)
    whole = packed.read_bytes()
    assert [*Pronunciations.read(packed).words] == ["harbour"]
    entry = whole.find(b"PK\x01\x02")
    for at, byte in ((entry + 8, 1), (entry + 10, 99), (36, 0xFF)):  # encrypted, packed in another way, damaged
        packed.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
        with pytest.raises(DaedalError, match="cannot be unpacked"):
            Pronunciations.read(packed)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "pronunciations.txt").mkdir()
    with pytest.raises(DaedalError, match="is a folder"):
        Pronunciations.load(tmp_path / "run")


@pytest.mark.parametrize("family", ["speech", "sound"])
def test_what_is_said_is_told_in_phonemes(family: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "words.dict").write_text(DICTIONARY)
    daedal.build_data([sounds(tmp_path / "in")], tmp_path / "data", workers=1, split=(60, 20, 20))
    small = GPT if family == "sound" else {"features": 16, "levels": 2, "blocks": 1, "text_width": 32, "batch": 8}
    asked = {"steps": 2, "pronunciations": str(tmp_path / "words.dict")}
    daedal.train(family, data=tmp_path / "data", out=tmp_path / "run", **small, **asked)
    plan = json.loads((tmp_path / "run" / "training" / "plan.json").read_text())
    assert "are not in the dictionary, and are spelled" in plan["why"]["Said"]
    assert {"aa1", "jh"} < set(plan["characters"])
    (tmp_path / "words.dict").unlink()  # the run has its own
    voice = Generator.open(tmp_path / "run")
    assert voice.pronunciations is not None
    (sound,) = voice.say("engine harbour", seed=1)
    assert len(sound.samples) > 0
    with pytest.raises(DaedalError, match="No transcript has"):
        voice.say("xylophone q")
    (tmp_path / "run" / "pronunciations.txt").unlink()
    with pytest.raises(DaedalError, match="is missing, and the model says phonemes"):
        Generator.open(tmp_path / "run")


def test_classes_have_no_pronunciation(data: Path, tokens: Path, tmp_path: Path) -> None:
    (tmp_path / "words.dict").write_text(DICTIONARY)
    with pytest.raises(DaedalError, match="no transcripts that could be pronounced"):
        daedal.train(
            "soundgpt",
            data=data,
            out=tmp_path / "no",
            codec=tokens,
            steps=2,
            pronunciations=str(tmp_path / "words.dict"),
        )


# -- families of pictures ----------------------------------------------------------------------------------------------


def test_a_sound_comes_back_from_its_picture() -> None:
    codec, wave = MelPictures.of_sounds(8000, 40), tone(600, 0.25).astype(np.float32) / 32768
    picture = codec.picture(wave)
    assert picture.shape == (64, 40, 1)
    assert picture.dtype == np.uint8
    made = codec.sound(picture)
    assert abs(len(made) - len(wave)) <= 4 * 128
    assert abs(int(np.abs(np.fft.rfft(made[:2000])).argmax()) - 150) <= 2
    assert len(codec.sound(np.zeros_like(picture))) > 0


@pytest.mark.parametrize("family", ["vae", "gan"])
def test_families_of_pictures_learn_short_sounds_as_they_are(data: Path, tmp_path: Path, family: str) -> None:
    out = tmp_path / "run"
    daedal.train(family, data=data, out=out, steps=2, batch=8, condition="class", sample_every=1)
    assert list((out / "training" / "samples").glob("*.wav"))
    assert command("generate", out, "--class", "1", "--seed", "1", "--out", tmp_path / "a.wav").code == 0
    sounds_made = Generator.open(out).draw_sounds(2, label="1", seed=1)
    assert sounds_made[0].rate == 8000
    assert all(len(each.samples) > 0 and np.isfinite(each.samples).all() for each in sounds_made)
